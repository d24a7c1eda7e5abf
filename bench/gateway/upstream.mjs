// The double of a model server that every contender has behind it: answers at once, streams at a pace that is set from
// outside, and counts what reached it. Each streamed piece carries its number and the time at which it was written
// (CLOCK_MONOTONIC, which all processes of a machine share), so that the far end can tell what came between.
import http from 'node:http';

const REQUEST_BYTES_MAX = 32 * 2 ** 20;
/** Longer than any load that is measured, so that no contender's pool meets a socket that is just closing. */
const KEEP_ALIVE_MS = 600_000;

const USAGE = { prompt_tokens: 24, completion_tokens: 12, total_tokens: 36 };
const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'bench-model',
    choices: [{ index: 0, message: { role: 'assistant', content: 'The address has a threat level of 87 and was seen in four incidents of the last day.' }, finish_reason: 'stop' }],
    usage: USAGE,
  }),
);
const JSON_HEAD = { 'content-type': 'application/json', 'content-length': String(ANSWER.length), 'x-request-id': 'req-bench' };
const STREAM_HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-request-id': 'req-bench' };

let stream = { chunks: 64, paceMs: 0 };
let seen = { answers: 0, streams: 0, left: 0, bytes: 0 };

const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
  const parts = [];
  let bytes = 0;
  request.on('data', (part) => {
    bytes += part.length;
    if (bytes > REQUEST_BYTES_MAX) request.destroy();
    else parts.push(part);
  });
  request.on('end', () => {
    seen.bytes += bytes;
    if (request.method === 'GET') {
      answerGet(request, response);
      return;
    }
    const body = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    if (asksForStream(body)) streamTo(response, body.includes('"include_usage"'));
    else {
      seen.answers += 1;
      response.writeHead(200, JSON_HEAD);
      response.end(ANSWER);
    }
  });
});

/** What gateways look at beside requests: the models, a server's load, and whether it is there. */
function answerGet({ url }, response) {
  if (url === '/metrics') response.writeHead(200, { 'content-type': 'text/plain' }).end(LOAD);
  else response.writeHead(200, { 'content-type': 'application/json' }).end(MODELS);
}

const MODELS = '{"object":"list","data":[{"id":"bench-model","object":"model","created":1,"owned_by":"bench"}]}';
const LOAD = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc'].map((name) => `vllm:${name}{model_name="bench-model"} 0\n`).join('');

/** Most clients write it without a space; Python's json writes one. */
const asksForStream = (body) => body.includes('"stream":true') || body.includes('"stream": true');

function streamTo(response, wantsUsage) {
  seen.streams += 1;
  const { chunks, paceMs } = stream;
  response.writeHead(200, STREAM_HEAD);
  response.on('close', () => {
    clearInterval(timer);
    if (!response.writableFinished) seen.left += 1;
  });
  let next = 0;
  const writeOne = () => {
    response.write(`${next === 0 ? FIRST_PIECE : PIECE}${stamp(next)}"},"finish_reason":null}]}\n\n`);
    next += 1;
    return next < chunks;
  };
  const finish = () => {
    clearInterval(timer);
    response.write(LAST_PIECE);
    if (wantsUsage) response.write(USAGE_PIECE);
    response.end('data: [DONE]\n\n');
  };
  let timer;
  if (paceMs === 0) {
    while (writeOne());
    finish();
    return;
  }
  writeOne();
  timer = setInterval(() => {
    if (!writeOne()) finish();
  }, paceMs);
}

const CHUNK = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-model","choices":[';
const PIECE = `data: ${CHUNK}{"index":0,"delta":{"content":"`;
const FIRST_PIECE = `data: ${CHUNK}{"index":0,"delta":{"role":"assistant","content":"`;
const LAST_PIECE = `data: ${CHUNK}{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`;
const USAGE_PIECE = `data: ${CHUNK}],"usage":${JSON.stringify(USAGE)}}\n\n`;

/** About as long as a word of an answer, with its number and its time in it. */
function stamp(index) {
  const [seconds, nanoseconds] = process.hrtime();
  return `~${index}~${seconds * 1e6 + Math.round(nanoseconds / 1e3)}~`;
}

process.on('message', ({ id, command, args }) => {
  if (command === 'stream') stream = args;
  const result = { ...seen };
  if (command === 'reset') seen = { answers: 0, streams: 0, left: 0, bytes: 0 };
  process.send({ id, result });
});
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => process.send({ ready: server.address().port }));
