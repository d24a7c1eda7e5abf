import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import { PlatformError } from '@openeaap/kernel';
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpApp } from '../app.ts';
import { createFakePort } from '../testing/fake-port.ts';
import type { OpenAiSession } from './port.ts';
import type { OpenAiRoutesOptions } from './register-openai-routes.ts';
import { registerOpenAiRoutes } from './register-openai-routes.ts';

const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

const TOKEN = 'step-secret-0123456789';
const KEY = { authorization: `Bearer ${TOKEN}` };
const POST = { method: 'POST', url: '/v1/chat/completions', headers: { ...KEY, 'content-type': 'application/json' }, payload: '{"model":""}' } as const;

type Complete = OpenAiSession['complete'];

/** A session whose completions the test decides; it opens by TOKEN alone. */
function register(app: FastifyInstance, complete: Complete, options: Partial<OpenAiRoutesOptions> = {}): FastifyInstance {
  let ids = 0;
  const session: OpenAiSession = {
    models: () => [{ name: 'b1', type: 'vllm' }, { name: 'org/m2', type: 'openai' }],
    findModel: (name) => {
      if (name === 'b1' || name === 'org/m2') return { name, type: 'vllm' };
      throw new PlatformError('not_found', `No model backend is called "${name}".`);
    },
    complete,
  };
  registerOpenAiRoutes(app, { enter: (credential) => (credential === TOKEN ? session : null) }, { newId: () => String((ids += 1)), now: () => 5_000, ...options });
  apps.push(app);
  return app;
}

const createDoor = (complete: Complete, options: Partial<OpenAiRoutesOptions> = {}): FastifyInstance => register(fastify(), complete, options);

const never: Complete = () => Promise.reject(new Error('was not to be asked'));

async function listen(app: FastifyInstance): Promise<{ readonly url: string; readonly port: number }> {
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, port: (app.server.address() as AddressInfo).port };
}

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** A client of its own socket, which can leave or stop reading as no library lets it. */
function ask(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
  return socket;
}

describe('a credential', () => {
  it.each([
    [{}, 'has no credential'],
    [{ authorization: 'Basic eA==' }, 'has no credential'],
    [{ authorization: 'Bearer step-over' }, 'that step is over'],
    [{ authorization: `Bearer ${'x'.repeat(5_000)}` }, 'that step is over'],
  ])('that opens nothing is 401: %j', async (headers, says) => {
    for (const { method, url } of [POST, { method: 'GET', url: '/v1/models' }] as const) {
      const answer = await createDoor(never).inject({ method, url, headers });
      expect(answer.statusCode).toBe(401);
      expect(answer.json()).toEqual({ error: { message: expect.stringContaining(says), type: 'invalid_request_error', param: null, code: 'invalid_api_key' } });
      expect(answer.body).not.toContain('step-over');
    }
  });

  it('is asked for before the body is read', async () => {
    const { port } = await listen(createDoor(never));
    const socket = connect(port, '127.0.0.1');
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n{');
    expect(await answered).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  it('is in no log line, and neither is what was asked or answered', async () => {
    let log = '';
    const stream = new Writable({ write: (line: Buffer, _encoding, done) => ((log += line.toString()), done()) });
    const answers = [
      async () => ({ document: '{"private":"answer"}' }),
      () => Promise.reject(new PlatformError('model_rejected', 'private refusal', { cause: new Error('private cause') })),
      () => Promise.reject(new PlatformError('invalid_input', 'private input')),
    ];
    const app = register(fastify({ logger: { level: 'trace', stream } }), () => (answers.shift() ?? never)('', { signal: new AbortController().signal, traceparent: null, onChunk: () => null }));
    for (let call = 0; call < 3; call += 1) await app.inject({ ...POST, payload: '{"private":"question"}' });
    await app.inject({ ...POST, headers: { ...POST.headers, authorization: 'Bearer step-wrong' } });
    expect(log).toContain('a completion was refused');
    expect(log).not.toMatch(/private|secret|step-wrong/);
  });
});

describe('the models', () => {
  it('are listed, and found by names with slashes too', async () => {
    const door = createDoor(never);
    expect((await door.inject({ url: '/v1/models', headers: KEY })).json()).toEqual({
      object: 'list',
      data: [{ id: 'b1', object: 'model', created: 5, owned_by: 'vllm' }, { id: 'org/m2', object: 'model', created: 5, owned_by: 'openai' }],
    });
    for (const url of ['/v1/models/org/m2', '/v1/models/org%2Fm2']) expect((await door.inject({ url, headers: KEY })).json()).toMatchObject({ id: 'org/m2', object: 'model' });
  });

  it('that are not there are 404 in the words of the API', async () => {
    const answer = await createDoor(never).inject({ url: '/v1/models/nope', headers: KEY });
    expect([answer.statusCode, answer.json()]).toEqual([404, { error: { message: 'No model backend is called "nope".', type: 'invalid_request_error', param: 'model', code: 'model_not_found' } }]);
  });
});

describe('a completion in one piece', () => {
  it('goes out as it came, with an id of its own', async () => {
    const seen: unknown[] = [];
    const door = createDoor(async (body, { traceparent }) => (seen.push(body, traceparent), { document: '{ "as": 1.0 }' }));
    const answer = await door.inject({ ...POST, headers: { ...POST.headers, traceparent: '00-x' } });
    expect([answer.statusCode, answer.body, answer.headers['content-type'], answer.headers['x-request-id']]).toEqual([200, '{ "as": 1.0 }', 'application/json; charset=utf-8', 'req_1']);
    expect(seen).toEqual(['{"model":""}', '00-x']);
    expect((await door.inject(POST)).headers['x-request-id']).toBe('req_2');
  });

  it('of a body that is too large is 413, and of up to 20 MiB it is not', async () => {
    const sizes: number[] = [];
    const door = createDoor(async (body) => (sizes.push(body.length), { document: '{}' }), { bodyBytes: 3_000_000 });
    expect((await door.inject({ ...POST, payload: 'x'.repeat(3_000_000) })).statusCode).toBe(200);
    const answer = await door.inject({ ...POST, payload: 'x'.repeat(3_000_001) });
    expect(answer.statusCode).toBe(413);
    expect(answer.json()).toMatchObject({ error: { type: 'invalid_request_error', code: 'request_too_large', message: expect.stringContaining('Send less') } });
    const standard = createDoor(async (body) => (sizes.push(body.length), { document: '{}' }));
    expect((await standard.inject({ ...POST, payload: 'x'.repeat(20_971_520) })).statusCode).toBe(200);
    expect((await standard.inject({ ...POST, payload: 'x'.repeat(20_971_521) })).statusCode).toBe(413);
    expect(sizes).toEqual([3_000_000, 20_971_520]);
  });

  it('of something else than JSON is 415, and without a body it is the parser’s to refuse', async () => {
    const door = createDoor(async (body) => Promise.reject(new PlatformError('invalid_input', `got ${JSON.stringify(body)}`)));
    expect((await door.inject({ ...POST, headers: { ...KEY, 'content-type': 'text/plain' } })).json()).toMatchObject({ error: { code: 'invalid_content_type' } });
    const empty = await door.inject({ method: 'POST', url: POST.url, headers: KEY });
    expect([empty.statusCode, empty.json()]).toMatchObject([400, { error: { message: 'got ""' } }]);
  });

  it('is refused while too many are being made, and not after', async () => {
    const begun = createGate();
    const ending = createGate();
    const door = createDoor(async () => (begun.open(), await ending.opened, { document: '{}' }), { callsAtOnce: 1 });
    const first = door.inject(POST).then((answer) => answer.statusCode);
    await begun.opened;
    const second = await door.inject(POST);
    expect([second.statusCode, second.headers['retry-after'], second.headers['x-should-retry']]).toEqual([503, '1', undefined]);
    ending.open();
    expect(await first).toBe(200);
    expect((await door.inject(POST)).statusCode).toBe(200);
  });
});

describe('an error', () => {
  const unavailable = (details: PlatformError['details']): PlatformError => new PlatformError('model_unavailable', 'm', { details });

  it.each<[string, PlatformError, number, { readonly type: string; readonly code: string | null; readonly param?: string }, Readonly<Record<string, string | undefined>>]>([
    ['of the request', new PlatformError('invalid_input', 'm', { details: { field: 'n' } }), 400, { type: 'invalid_request_error', code: null, param: 'n' }, {}],
    ['of the step', new PlatformError('unauthenticated', 'm'), 401, { type: 'invalid_request_error', code: 'invalid_api_key' }, {}],
    ['of a used up budget', new PlatformError('quota_exceeded', 'm'), 429, { type: 'insufficient_quota', code: 'insufficient_quota' }, { 'x-should-retry': 'false', 'retry-after': undefined }],
    ['of a server that is busy', unavailable({ status: 429, retry_after_ms: 2_500 }), 429, { type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' }, { 'retry-after': '3', 'retry-after-ms': '2500', 'x-should-retry': undefined }],
    ['of a server that is busy and does not say how long', unavailable({ status: 429 }), 429, { type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' }, { 'retry-after': '1' }],
    ['of a server that broke', unavailable({ status: 500 }), 502, { type: 'server_error', code: 'model_unavailable' }, { 'x-should-retry': 'false' }],
    ['of a server that is down', unavailable({ status: 503 }), 503, { type: 'server_error', code: 'model_unavailable' }, { 'retry-after': '1', 'x-should-retry': 'false' }],
    ['of a server that is not there', unavailable({ reason: 'ECONNREFUSED' }), 503, { type: 'server_error', code: 'model_unavailable' }, { 'x-should-retry': 'false' }],
    ['of a server that is silent', unavailable({ reason: 'timeout' }), 504, { type: 'server_error', code: 'model_unavailable' }, { 'x-should-retry': 'false' }],
    ['of a node that stops', unavailable({ reason: 'closing' }), 503, { type: 'server_error', code: 'model_unavailable' }, { 'retry-after': '1', 'x-should-retry': undefined }],
    ['of nonsense', new PlatformError('model_invalid_output', 'm'), 502, { type: 'server_error', code: 'model_invalid_output' }, { 'x-should-retry': 'false' }],
    ['of our own key', new PlatformError('model_rejected', 'm', { details: { status: 401 } }), 502, { type: 'server_error', code: 'model_rejected' }, {}],
    ['of what the client wrote', new PlatformError('model_rejected', 'x', { details: { status: 400, upstream_message: 'm', upstream_code: 'context_length_exceeded', upstream_param: 'messages' } }), 400, { type: 'invalid_request_error', code: 'context_length_exceeded', param: 'messages' }, {}],
    ['of an account that is empty', new PlatformError('model_rejected', 'm', { details: { status: 429 } }), 429, { type: 'insufficient_quota', code: 'insufficient_quota' }, { 'x-should-retry': 'false' }],
  ])('%s has its status, its words and its headers', async (_, error, status, words, headers) => {
    const answer = await createDoor(() => Promise.reject(error)).inject(POST);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toEqual({ error: { message: 'm', param: null, ...words } });
    expect(answer.headers).toMatchObject({ 'x-request-id': 'req_1' });
    for (const [name, value] of Object.entries(headers)) expect([name, answer.headers[name]]).toEqual([name, value]);
  });

  it('that nobody expected tells nothing', async () => {
    const answer = await createDoor(() => Promise.reject(new Error('secret path'))).inject(POST);
    expect([answer.statusCode, answer.body]).toEqual([500, expect.not.stringContaining('secret')]);
    expect(answer.headers['x-should-retry']).toBe('false');
  });

  it('of a path that is not there names what is', async () => {
    for (const [method, url] of [['POST', '/v1/responses'], ['GET', '/v1/chat/completions'], ['POST', '/v1/embeddings']] as const) {
      const answer = await createDoor(never).inject({ method, url, headers: KEY });
      expect([answer.statusCode, answer.json()]).toEqual([404, { error: { message: expect.stringContaining(`${method} ${url}`), type: 'invalid_request_error', param: null, code: 'unknown_url' } }]);
    }
  });
});

describe('a streamed completion', () => {
  it('is framed as OpenAI does it', async () => {
    const door = createDoor(async (_body, { onChunk }) => {
      for (const json of ['{"a":1}', '{"b":"世界"}']) await onChunk(json);
      return { document: null };
    });
    const answer = await door.inject(POST);
    expect(answer.body).toBe('data: {"a":1}\n\ndata: {"b":"世界"}\n\ndata: [DONE]\n\n');
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', 'x-request-id': 'req_1' });
  });

  it('that fails before its first chunk has a status; after it, it ends with an error and without [DONE]', async () => {
    const error = new PlatformError('model_unavailable', 'gone', { details: { reason: 'closed_mid_stream' } });
    expect((await createDoor(() => Promise.reject(error)).inject(POST)).statusCode).toBe(503);
    const broken = createDoor(async (_body, { onChunk }) => (await onChunk('{"a":1}'), Promise.reject(error)));
    const answer = await broken.inject(POST);
    expect([answer.statusCode, answer.body]).toEqual([200, 'data: {"a":1}\n\ndata: {"error":{"message":"gone","type":"server_error","param":null,"code":"model_unavailable"}}\n\n']);
  });

  it('whose step ends says so', async () => {
    const over = createDoor(async (_body, { onChunk }) => (await onChunk('{}'), Promise.reject(new PlatformError('unauthenticated', 'The step is over.'))));
    expect((await over.inject(POST)).body).toContain('{"error":{"message":"The step is over.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}');
  });

  it.each([['after its first chunk', true], ['before it', false]])('whose client leaves %s is told so', async (_, hasBegun) => {
    const asked = createGate();
    const left = createGate();
    let reason: unknown = null;
    const door = createDoor((_body, { signal, onChunk }) => {
      if (hasBegun) void onChunk('{"a":1}');
      asked.open();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          left.open();
          reject(new Error('left'));
        });
      });
    });
    const { port } = await listen(door);
    const socket = ask(port);
    await asked.opened;
    if (hasBegun) await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await left.opened;
    expect(reason).toMatchObject({ code: 'cancelled' });
  });

  it('waits for a slow reader, and cuts off one that has stopped', async () => {
    const waits: (Promise<void> | null)[] = [];
    const ended = new Promise<unknown>((resolve) => {
      const door = createDoor(async (_body, { onChunk }) => {
        try {
          for (;;) {
            const full = onChunk(JSON.stringify({ text: 'x'.repeat(100_000) }));
            waits.push(full);
            if (full !== null) await full;
          }
        } catch (error) {
          resolve(error);
          throw error;
        }
      }, { stallMs: 50 });
      void listen(door).then(({ port }) => ask(port).pause());
    });
    expect(await ended).toMatchObject({ code: 'cancelled', message: 'The client reads too slowly.' });
    // What waits for one reader is one chunk beyond the kernel's buffers, not the whole stream.
    expect(waits.at(-1)).toBeInstanceOf(Promise);
  });

  it('that is silent shows that it lives', async () => {
    const silence = createGate();
    const door = createDoor(async (_body, { onChunk }) => (await onChunk('{"a":1}'), await silence.opened, { document: null }), { heartbeatMs: 10 });
    const { url } = await listen(door);
    const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: POST.headers, body: POST.payload });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes(': hb\n\n')) text += (await reader?.read())?.value ?? '';
    silence.open();
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) text += next.value;
    expect(text).toMatch(/^data: \{"a":1\}\n\n(: hb\n\n)+data: \[DONE\]\n\n$/);
  });
});

describe('within the platform’s own server', () => {
  const createBoth = (complete: Complete): FastifyInstance => register(createHttpApp(createFakePort({ listRuns: async () => ({ items: [], nextCursor: null }) }), { version: '1' }), complete);

  it('the door asks for a step’s credential, takes large bodies, and leaves the other routes as they are', async () => {
    const app = createBoth(async (body) => ({ document: JSON.stringify({ length: body.length }) }));
    expect((await app.inject({ ...POST, payload: 'x'.repeat(2_000_000) })).json()).toEqual({ length: 2_000_000 });
    expect((await app.inject({ ...POST, headers: { ...POST.headers, authorization: 'Bearer key-all' } })).statusCode).toBe(401);
    expect((await app.inject({ url: '/api/v1/runs', headers: KEY })).headers['content-type']).toContain('application/problem+json');
    expect((await app.inject({ url: '/api/v1/runs', headers: { authorization: 'Bearer key-all' } })).statusCode).toBe(200);
    expect((await app.inject({ url: '/v1/nope' })).json()).toMatchObject({ error: { code: 'unknown_url' } });
    expect((await app.inject({ url: '/nope' })).json()).toMatchObject({ code: 'not_found' });
  });

  it('the door is no part of the platform’s own API', async () => {
    const app = createBoth(never);
    await app.ready();
    expect(Object.keys(app.swagger().paths ?? {}).filter((path) => path.startsWith('/v1'))).toEqual([]);
  });
});
