// The floor: the least that a proxy of node:http and undici does. Reads the whole request, as every gateway must that looks
// at it, sends it on, and hands on what comes back as it comes. No authentication, no routing, no counting, no cache.
import http from 'node:http';
import { Pool } from 'undici';

const pool = new Pool(process.env.BENCH_UPSTREAM, { connections: 1_200, pipelining: 1 });

const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => pass(request, parts.length === 1 ? parts[0] : Buffer.concat(parts), response));
});

function pass(request, body, response) {
  let upstream = null;
  response.on('drain', () => upstream?.resume());
  response.on('close', () => {
    if (!response.writableFinished) upstream?.abort(new Error('the client has left'));
  });
  pool.dispatch(
    { path: request.url, method: request.method, headers: { 'content-type': 'application/json', 'content-length': String(body.length) }, body },
    {
      onRequestStart: (controller) => {
        upstream = controller;
      },
      onResponseStart: (_controller, status, headers) => response.writeHead(status, withoutHopByHop(headers)),
      onResponseData: (controller, chunk) => {
        if (!response.write(chunk)) controller.pause();
      },
      onResponseEnd: () => response.end(),
      onResponseError: () => (response.headersSent ? response.destroy() : response.writeHead(502).end()),
    },
  );
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);

const withoutHopByHop = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));

server.listen(0, '127.0.0.1', () => process.send({ ready: server.address().port }));
process.on('disconnect', () => process.exit(0));
