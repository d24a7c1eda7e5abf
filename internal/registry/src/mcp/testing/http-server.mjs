// An MCP server over HTTP. Prints its URL. The first argument says how it misbehaves.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { bends } from './bends.mjs';
import { makeServer } from './make-server.mjs';

const [mode = 'good', port = '0'] = process.argv.slice(2);
const sessions = new Map();

const hooks = (response) => ({
  // The connection breaks in the middle of the answer, the server lives.
  die: () => response().destroy(),
  flood: () => {
    const block = `data: ${'x'.repeat(65_536)}`;
    const write = () => {
      if (response().destroyed) return;
      if (!response().headersSent || response().write(block)) setImmediate(write);
      else response().once('drain', write);
    };
    write();
  },
});

async function streamable(request, response) {
  const id = request.headers['mcp-session-id'];
  const known = sessions.get(id);
  if (id !== undefined && known === undefined) return response.writeHead(404).end();
  if (known !== undefined) {
    if (request.method === 'POST') known.response = response;
    return known.transport.handleRequest(request, response);
  }
  const session = { transport: new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, enableJsonResponse: mode === 'json', onsessioninitialized: (sessionId) => void sessions.set(sessionId, session) }), response };
  await makeServer({ hooks: hooks(() => session.response), ...bends[mode] }).connect(session.transport);
  return session.transport.handleRequest(request, response);
}

async function sse(request, response) {
  const url = new URL(request.url, 'http://localhost');
  if (request.method === 'POST' && url.pathname === '/messages') return sessions.get(url.searchParams.get('sessionId')).handlePostMessage(request, response);
  if (request.method !== 'GET') return response.writeHead(405).end();
  const transport = new SSEServerTransport('/messages', response);
  sessions.set(transport.sessionId, transport);
  return makeServer({ hooks: hooks(() => response), ...bends[mode] }).connect(transport);
}

const HANDLERS = {
  sse,
  silent: () => undefined,
  html: (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
  broken: (_request, response) => response.writeHead(502).end(),
  'broken-json': (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":'),
  redirect: (_request, response) => response.writeHead(307, { location: 'http://127.0.0.1:9/mcp' }).end(),
  bearer: (request, response) => (request.headers.authorization === 'Bearer s3cret-token' && request.headers['x-team'] === 'red' ? streamable(request, response) : response.writeHead(401).end()),
};

const server = createServer((request, response) => {
  // What the server is told to do by a test: forget everything, as if it had been started anew.
  if (request.url === '/forget') {
    sessions.clear();
    return response.end();
  }
  return void (HANDLERS[mode] ?? streamable)(request, response);
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}/mcp\n`));
process.stdin.on('end', () => process.exit(0)).resume();
