import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { createOpenAiDoor } from './create-openai-door.ts';
import type { OpenAiDoorOptions } from './create-openai-door.ts';
import type { OpenAiCall, OpenAiPort, OpenAiSession } from './port.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const TOKEN = 'step-secret-0123456789';
const CHAT = '/v1/chat/completions';
const POST = { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: '{"model":""}' };

type Ask = OpenAiSession['ask'];

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly json: () => unknown;
}

/** A session whose answers the test decides, behind a real door; it opens by TOKEN alone. */
async function openDoor(ask: Ask, options: Partial<OpenAiDoorOptions> & { readonly enter?: OpenAiPort['enter'] } = {}) {
  let ids = 0;
  const log: string[] = [];
  const session: OpenAiSession = {
    models: () => [{ name: 'b1', type: 'vllm' }, { name: 'org/m2', type: 'openai' }],
    findModel: (name) => {
      if (name === 'b1' || name === 'org/m2') return { name, type: 'vllm' };
      throw new PlatformError('not_found', `No model backend is called "${name}".`);
    },
    ask,
  };
  const write = (about: object, message: string): void => void log.push(`${message} ${JSON.stringify(about)}`);
  const door = createOpenAiDoor({ enter: options.enter ?? ((credential) => (credential === TOKEN ? session : null)) }, { newId: () => String((ids += 1)), now: () => 5_000, logger: { info: write, error: write }, ...options });
  await door.listen({ host: '127.0.0.1', port: 0 });
  closers.push(() => door.close(1_000));
  const { port } = door.server.address() as AddressInfo;
  const request = async (path: string, init: RequestInit = {}): Promise<Answered> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    const body = await response.text();
    return { status: response.status, headers: response.headers, body, json: () => JSON.parse(body) };
  };
  return { door, session, port, log, request, post: (init: RequestInit = {}) => request(CHAT, { ...POST, ...init }), get: (path: string) => request(path, { headers: POST.headers }) };
}

const never: Ask = () => Promise.reject(new Error('was not to be asked'));

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** A client of its own socket, which can leave or stop reading as no library lets it. */
function ask(port: number, text = `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(text);
  return socket;
}

const firstData = (socket: Socket): Promise<string> => new Promise((resolve) => socket.once('data', (data) => resolve(data.toString())));

describe('a credential', () => {
  it.each([
    [{}, 'has no credential'],
    [{ authorization: 'Basic eA==' }, 'has no credential'],
    [{ 'api-key': '' }, 'has no credential'],
    [{ authorization: 'Bearer step-over' }, 'not valid'],
    [{ 'api-key': 'step-over' }, 'not valid'],
    [{ authorization: 'Bearer step-over', 'api-key': TOKEN }, 'not valid'],
    [{ authorization: `Bearer ${'x'.repeat(5_000)}` }, 'not valid'],
  ])('that opens nothing is 401: %j', async (headers, says) => {
    const { request } = await openDoor(never);
    for (const [path, init] of [[CHAT, { method: 'POST', body: '{}' }], ['/v1/models', {}]] as const) {
      const answer = await request(path, { ...init, headers });
      expect(answer.status).toBe(401);
      expect(answer.json()).toEqual({ error: { message: expect.stringContaining(says), type: 'invalid_request_error', param: null, code: 'invalid_api_key' } });
      expect(answer.body).not.toContain('step-over');
    }
  });

  it('may come as the clients of Azure send it, and may take a while to be looked up', async () => {
    const door = await openDoor(never, { enter: async (credential) => (credential === 'key-1' ? door.session : null) });
    expect((await door.request('/v1/models', { headers: { 'api-key': 'key-1' } })).status).toBe(200);
    expect((await door.request('/v1/models', { headers: { authorization: 'bearer key-1' } })).status).toBe(200);
    expect((await door.request('/v1/models', { headers: { 'api-key': 'key-2' } })).status).toBe(401);
  });

  it('that cannot be looked up is no 401', async () => {
    const { get } = await openDoor(never, { enter: () => Promise.reject(new PlatformError('unavailable', 'The database is away.')) });
    expect((await get('/v1/models')).status).toBe(503);
  });

  it('is asked for before the body is read', async () => {
    const { port } = await openDoor(never);
    const socket = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n{`);
    expect(await firstData(socket)).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
    const polite = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n`);
    expect(await firstData(polite)).toMatch(/^HTTP\/1\.1 401 /);
    polite.destroy();
  });

  it('that is good lets a body come that was held back', async () => {
    const { port } = await openDoor(async (_kind, body) => ({ document: JSON.stringify({ got: body }) }));
    const socket = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n`);
    expect(await firstData(socket)).toMatch(/^HTTP\/1\.1 100 Continue/);
    socket.write('{}');
    expect(await firstData(socket)).toContain('{"got":"{}"}');
    socket.destroy();
  });

  it('is in no log line, and neither is what was asked or answered', async () => {
    const answers: readonly Ask[] = [
      async () => ({ document: '{"private":"answer"}' }),
      () => Promise.reject(new PlatformError('model_rejected', 'private refusal', { cause: new Error('private cause') })),
      () => Promise.reject(new PlatformError('invalid_input', 'private input')),
    ];
    let calls = 0;
    const { post, log } = await openDoor((...args) => (answers[calls++] ?? never)(...args));
    for (const _ of answers) await post({ body: '{"private":"question"}' });
    await post({ headers: { ...POST.headers, authorization: 'Bearer step-wrong' } });
    expect(log).toHaveLength(3);
    expect(log.join('\n')).not.toMatch(/private|secret|step-wrong/);
  });
});

describe('the models', () => {
  it('are listed, and found by names with slashes too', async () => {
    const { get } = await openDoor(never);
    expect((await get('/v1/models?limit=5')).json()).toEqual({
      object: 'list',
      data: [{ id: 'b1', object: 'model', created: 5, owned_by: 'vllm' }, { id: 'org/m2', object: 'model', created: 5, owned_by: 'openai' }],
    });
    for (const path of ['/v1/models/org/m2', '/v1/models/org%2Fm2']) expect((await get(path)).json()).toMatchObject({ id: 'org/m2', object: 'model' });
  });

  it('that are not there are 404 in the words of the API', async () => {
    const { get } = await openDoor(never);
    const answer = await get('/v1/models/nope');
    expect([answer.status, answer.json()]).toEqual([404, { error: { message: 'No model backend is called "nope".', type: 'invalid_request_error', param: 'model', code: 'model_not_found' } }]);
    expect((await get('/v1/models/%zz')).status).toBe(404);
  });
});

describe('a request', () => {
  it.each([[CHAT, 'chat'], ['/v1/completions', 'completions'], ['/v1/embeddings', 'embeddings'], ['/v1/rerank', 'rerank'], ['/v1/responses', 'responses']])('at %s is of the kind %s', async (path, kind) => {
    const { request } = await openDoor(async (asked) => ({ document: JSON.stringify(asked) }));
    expect((await request(path, POST)).json()).toBe(kind);
  });

  it('goes in and out as it came, with an id of its own', async () => {
    const seen: unknown[] = [];
    const { post } = await openDoor(async (_kind, body, { traceparent }) => (seen.push(body, traceparent), { document: '{ "as": 1.0 }' }));
    const answer = await post({ headers: { ...POST.headers, traceparent: '00-x' } });
    expect([answer.status, answer.body]).toEqual([200, '{ "as": 1.0 }']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'req_1', 'openai-processing-ms': '0', 'content-length': '13' });
    expect(seen).toEqual(['{"model":""}', '00-x']);
    expect((await post()).headers.get('x-request-id')).toBe('req_2');
  });

  it('whose characters are cut anywhere is read whole', async () => {
    const { port } = await openDoor(async (_kind, body) => ({ document: JSON.stringify({ got: body }) }));
    const body = Buffer.from('{"a":"世界🚀"}');
    const socket = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: ${body.length}\r\n\r\n`);
    socket.setNoDelay(true);
    for (const byte of body) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await firstData(socket)).toContain('世界🚀');
    socket.destroy();
  });

  it('that is too large is 413, and of up to 20 MiB it is not', async () => {
    const sizes: number[] = [];
    const { post, port } = await openDoor(async (_kind, body) => (sizes.push(body.length), { document: '{}' }));
    expect((await post({ body: 'x'.repeat(20_971_520) })).status).toBe(200);
    const answer = await post({ body: 'x'.repeat(21_000_000) });
    expect(answer.status).toBe(413);
    expect(answer.json()).toMatchObject({ error: { type: 'invalid_request_error', code: 'request_too_large', message: expect.stringContaining('Send less') } });
    // Without a length it is found out on the way.
    const socket = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n`);
    const said = firstData(socket);
    const piece = `100000\r\n${'x'.repeat(1_048_576)}\r\n`;
    for (let sent = 0; sent < 21; sent += 1) socket.write(piece);
    socket.write('0\r\n\r\n');
    expect(await said).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    expect(sizes).toEqual([20_971_520]);
  });

  it('of something else than JSON is 415, and without a type it is taken for JSON', async () => {
    const { post, request } = await openDoor(async (_kind, body) => Promise.reject(new PlatformError('invalid_input', `got ${JSON.stringify(body)}`)));
    for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'application/json', 'content-encoding': 'gzip' }]) {
      const answer = await post({ headers: { ...POST.headers, ...headers } });
      expect([answer.status, answer.json()]).toMatchObject([415, { error: { code: 'invalid_content_type' } }]);
    }
    expect((await post({ headers: { ...POST.headers, 'content-type': 'application/json; charset=utf-8' } })).status).toBe(400);
    const empty = await request(CHAT, { method: 'POST', headers: { authorization: POST.headers.authorization } });
    expect([empty.status, empty.json()]).toMatchObject([400, { error: { message: 'got ""' } }]);
  });

  it('is shed while there are too many, or too many bytes of them, and not after', async () => {
    for (const [limits, body] of [[{ callsAtOnce: 1 }, '{}'], [{ bodyBytesAtOnce: 1_000 }, 'x'.repeat(600)]] as const) {
      const begun = createGate();
      const ending = createGate();
      const { post } = await openDoor(async () => (begun.open(), await ending.opened, { document: '{}' }), limits);
      const first = post({ body }).then(({ status }) => status);
      await begun.opened;
      const second = await post({ body });
      expect([second.status, second.headers.get('retry-after'), second.headers.get('retry-after-ms'), second.headers.get('x-should-retry')]).toEqual([429, '1', '1000', null]);
      ending.open();
      expect(await first).toBe(200);
      expect((await post({ body })).status).toBe(200);
    }
  });

  it('whose client leaves while its credential is looked up holds no place afterwards', async () => {
    for (const head of ['content-length: 2', 'content-length: 20', 'transfer-encoding: chunked', 'expect: 100-continue\r\ncontent-length: 2']) {
      const lookup = createGate();
      const lookedUp = createGate();
      const refused = createGate();
      let isFirst = true;
      const at: Awaited<ReturnType<typeof openDoor>> = await openDoor(async () => ({ document: '{}' }), {
        callsAtOnce: 1,
        enter: async () => {
          if (!isFirst) return at.session;
          isFirst = false;
          lookup.open();
          await lookedUp.opened;
          return at.session;
        },
        logger: { info: (about) => 'code' in about && about.code === 'cancelled' && refused.open(), error: () => undefined },
      });
      const gone = new Promise((resolve) => at.door.server.once('connection', (socket: Socket) => socket.once('close', resolve)));
      const socket = ask(at.port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n${head}\r\n\r\n`);
      socket.write('{}');
      await lookup.opened;
      socket.destroy();
      await gone;
      lookedUp.open();
      await refused.opened;
      expect([head, (await at.post()).status]).toEqual([head, 200]);
    }
  });

  it('without a length counts with the bytes that have come', async () => {
    const all = createGate();
    const ending = createGate();
    let held = 0;
    const { port, post } = await openDoor(async () => ((held += 1) === 40 && all.open(), await ending.opened, { document: '{}' }), { bodyBytesAtOnce: 20_971_520 });
    const chunked = (size: number): string => `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;
    const sockets = Array.from({ length: 40 }, () => ask(port, chunked(7)));
    const said = sockets.map(firstData);
    const firstRefusal = Promise.race(said);
    await Promise.race([all.opened, firstRefusal]);
    expect(held).toBe(40);
    const large = ask(port, chunked(20_971_520));
    expect(await firstData(large)).toMatch(/^HTTP\/1\.1 429 /);
    ending.open();
    for (const answer of await Promise.all(said)) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect((await post({ body: 'x'.repeat(20_971_520) })).status).toBe(200);
    for (const socket of [...sockets, large]) socket.destroy();
  });

  it('that is no HTTP gets 400, and the others go on', async () => {
    const { port, get } = await openDoor(never);
    const socket = ask(port, 'what is this\r\n\r\n');
    expect(await firstData(socket)).toMatch(/^HTTP\/1\.1 400 .*"invalid_request_error"/s);
    expect((await get('/v1/models')).status).toBe(200);
  });

  it('whose client leaves before its end asks nobody', async () => {
    const left = createGate();
    const { port } = await openDoor(never, { logger: { info: (about) => 'code' in about && about.code === 'cancelled' && left.open(), error: () => undefined } });
    const socket = ask(port, `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 20\r\n\r\n{`);
    setTimeout(() => socket.destroy(), 20);
    expect(await left.opened).toBeUndefined();
  });

  it.each([['GET', CHAT], ['POST', '/v1/audio/speech'], ['POST', '/rerank'], ['DELETE', '/v1/models/b1'], ['GET', '/'], ['POST', '/v1/chat/completions/']])('to a path that is not there names what is: %s %s', async (method, path) => {
    const { request } = await openDoor(never);
    const answer = await request(path, { method, headers: POST.headers });
    expect([answer.status, answer.json()]).toEqual([404, { error: { message: expect.stringContaining(`${method} ${path}`), type: 'invalid_request_error', param: null, code: 'unknown_url' } }]);
  });
});

describe('what the client says in headers', () => {
  const callOf = async (headers: Readonly<Record<string, string>>): Promise<OpenAiCall | Answered> => {
    let call: OpenAiCall | null = null;
    const { post } = await openDoor(async (_kind, _body, asked) => ((call = asked), { document: '{}' }));
    const answer = await post({ headers: { ...POST.headers, ...headers } });
    return call ?? answer;
  };
  const plain = { read: true, write: true, maxAgeMs: null, ttlMs: null, semantic: null };

  it.each([
    [{}, plain],
    [{ 'cache-control': 'no-cache' }, { ...plain, read: false }],
    [{ 'cache-control': 'no-store, max-age=60' }, { ...plain, write: false, maxAgeMs: 60_000 }],
    [{ 'cache-control': 'private, stale-if-error=3' }, plain],
    [{ 'x-openeaap-cache': 'off' }, { ...plain, read: false, write: false }],
    [{ 'x-openeaap-cache': 'refresh' }, { ...plain, read: false }],
    [{ 'x-openeaap-cache': 'read-only' }, { ...plain, write: false }],
    [{ 'x-openeaap-cache': 'Semantic' }, { ...plain, semantic: true }],
    [{ 'x-openeaap-cache': 'on, exact', 'cache-control': 'no-cache', 'x-openeaap-cache-ttl': '30' }, { ...plain, semantic: false, ttlMs: 30_000 }],
  ])('about caches is understood: %j', async (headers, control) => {
    expect(await callOf(headers)).toMatchObject({ cacheControl: control });
  });

  it.each([
    [{ 'x-openeaap-sensitivity': 'confidential' }, { sensitivity: 3, agent: null }],
    [{ 'x-openeaap-sensitivity': 'Public', 'x-openeaap-agent': 'soc/triage@v2' }, { sensitivity: 1, agent: 'soc/triage@v2' }],
    [{}, { sensitivity: null, agent: null }],
  ])('about secrets and agents is understood: %j', async (headers, said) => {
    expect(await callOf(headers)).toMatchObject(said);
  });

  it.each([
    ['x-openeaap-cache', 'maybe'],
    ['x-openeaap-cache', 'toString'],
    ['x-openeaap-cache-ttl', '-1'],
    ['cache-control', 'max-age=soon'],
    ['x-openeaap-sensitivity', 'secret'],
    ['x-openeaap-sensitivity', 'constructor'],
    ['x-openeaap-agent', 'a b'],
    ['x-openeaap-agent', 'x'.repeat(201)],
  ])('that is nonsense is refused by its name: %s: %s', async (name, value) => {
    const answer = await callOf({ [name]: value });
    expect('status' in answer && [answer.status, answer.json()]).toMatchObject([400, { error: { param: name, message: expect.stringContaining(name) } }]);
  });
});

describe('what the client is told in headers', () => {
  const routed = (cache: object) => ({ backend: 'b 世', headers: { 'x-ratelimit-remaining-tokens': '7' }, cache: { state: 'miss', level: null, ageMs: null, similarity: null, ...cache } });

  it.each([
    [{}, { 'x-openeaap-cache': 'miss' }],
    [{ state: 'hit', level: 'l3', ageMs: 61_999, similarity: 0.95678 }, { 'x-openeaap-cache': 'l3', age: '61', 'x-openeaap-similarity': '0.9568' }],
    [{ state: 'shared' }, { 'x-openeaap-cache': 'shared' }],
  ])('is where the answer is from, streamed or not: %j', async (cache, headers) => {
    for (const isStream of [false, true]) {
      const { post } = await openDoor(async (_kind, _body, { onRouted, onChunk }) => {
        onRouted(routed(cache));
        if (isStream) await onChunk('{}');
        return { document: isStream ? null : '{}' };
      });
      const answer = await post();
      expect(Object.fromEntries(answer.headers)).toMatchObject({ ...headers, 'x-openeaap-backend': 'b _', 'x-ratelimit-remaining-tokens': '7', 'openai-processing-ms': '0' });
    }
  });
});

describe('an error', () => {
  const unavailable = (details: PlatformError['details']): PlatformError => new PlatformError('model_unavailable', 'm', { details });
  const RATE = { type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' };
  const DOWN = { type: 'server_error', code: 'model_unavailable' };

  it.each<[string, PlatformError, number, { readonly type: string; readonly code: string | null; readonly param?: string }, Readonly<Record<string, string | null>>]>([
    ['of the request', new PlatformError('invalid_input', 'm', { details: { field: 'n' } }), 400, { type: 'invalid_request_error', code: null, param: 'n' }, {}],
    ['of the step', new PlatformError('unauthenticated', 'm'), 401, { type: 'invalid_request_error', code: 'invalid_api_key' }, {}],
    ['of a policy', new PlatformError('policy_denied', 'm', { details: { reason: 'confidential' } }), 403, { type: 'invalid_request_error', code: 'policy_denied' }, {}],
    ['of a key that may not', new PlatformError('permission_denied', 'm'), 403, { type: 'invalid_request_error', code: 'permission_denied' }, {}],
    ['of a model that is not there', new PlatformError('not_found', 'm'), 404, { type: 'invalid_request_error', code: 'model_not_found', param: 'model' }, {}],
    ['of a used up budget', new PlatformError('quota_exceeded', 'm'), 429, { type: 'insufficient_quota', code: 'insufficient_quota' }, { 'x-should-retry': 'false', 'retry-after': null }],
    ['of a used up budget, said so', new PlatformError('quota_exceeded', 'm', { details: { reason: 'budget_exhausted', retry_after_ms: 5 } }), 429, { type: 'insufficient_quota', code: 'insufficient_quota' }, { 'x-should-retry': 'false', 'retry-after': null }],
    ['of a rate that it can never keep', new PlatformError('quota_exceeded', 'm', { details: { reason: 'rate_limited' } }), 429, RATE, { 'retry-after': null, 'x-should-retry': 'false' }],
    ['of a rate that is too high', new PlatformError('quota_exceeded', 'm', { details: { reason: 'rate_limited', retry_after_ms: 12_345.6 } }), 429, RATE, { 'retry-after': '13', 'retry-after-ms': '12346', 'x-should-retry': null }],
    ['of a server that is busy', unavailable({ status: 429, retry_after_ms: 2_500 }), 429, RATE, { 'retry-after': '3', 'retry-after-ms': '2500', 'x-should-retry': null }],
    ['of a server that is busy and does not say how long', unavailable({ status: 429 }), 429, RATE, { 'retry-after': '1' }],
    ['of a queue that is full', unavailable({ reason: 'queue_full', retry_after_ms: 200 }), 429, RATE, { 'retry-after': '1', 'retry-after-ms': '200', 'x-should-retry': null }],
    ['of a queue that took too long', unavailable({ reason: 'queue_timeout' }), 429, RATE, { 'retry-after': '1', 'x-should-retry': null }],
    ['of an open breaker', unavailable({ reason: 'breaker_open', retry_after_ms: 30_000 }), 503, DOWN, { 'retry-after': '30', 'x-should-retry': 'false' }],
    ['of a server that broke', unavailable({ status: 500 }), 502, DOWN, { 'x-should-retry': 'false' }],
    ['of a server that is down', unavailable({ status: 503 }), 503, DOWN, { 'retry-after': '1', 'x-should-retry': 'false' }],
    ['of a server that is not there', unavailable({ reason: 'ECONNREFUSED' }), 503, DOWN, { 'x-should-retry': 'false' }],
    ['of a server that is silent', unavailable({ reason: 'timeout' }), 504, DOWN, { 'x-should-retry': 'false' }],
    ['of a node that stops', unavailable({ reason: 'closing' }), 503, DOWN, { 'retry-after': '1', 'x-should-retry': null }],
    ['of nonsense', new PlatformError('model_invalid_output', 'm'), 502, { type: 'server_error', code: 'model_invalid_output' }, { 'x-should-retry': 'false' }],
    ['of our own key', new PlatformError('model_rejected', 'm', { details: { status: 401 } }), 502, { type: 'server_error', code: 'model_rejected' }, {}],
    ['of what the client wrote', new PlatformError('model_rejected', 'x', { details: { status: 400, upstream_message: 'm', upstream_code: 'context_length_exceeded', upstream_param: 'messages' } }), 400, { type: 'invalid_request_error', code: 'context_length_exceeded', param: 'messages' }, {}],
    ['of an account that is empty', new PlatformError('model_rejected', 'm', { details: { status: 429 } }), 429, { type: 'insufficient_quota', code: 'insufficient_quota' }, { 'x-should-retry': 'false' }],
  ])('%s has its status, its words and its headers', async (_, error, status, words, headers) => {
    const { post } = await openDoor(() => Promise.reject(error));
    const answer = await post();
    expect(answer.status).toBe(status);
    expect(answer.json()).toEqual({ error: { message: 'm', param: null, ...words } });
    expect(answer.headers.get('x-request-id')).toBe('req_1');
    for (const [name, value] of Object.entries(headers)) expect([name, answer.headers.get(name)]).toEqual([name, value]);
  });

  it('that nobody expected tells nothing', async () => {
    const { post } = await openDoor(() => Promise.reject(new Error('secret path')));
    const answer = await post();
    expect([answer.status, answer.body]).toEqual([500, expect.not.stringContaining('secret')]);
    expect(answer.headers.get('x-should-retry')).toBe('false');
  });
});

describe('a streamed answer', () => {
  const streaming = (...chunks: readonly string[]): Ask => async (_kind, _body, { onChunk }) => {
    for (const json of chunks) await onChunk(json);
    return { document: null };
  };

  it('is framed as OpenAI does it', async () => {
    const { post } = await openDoor(streaming('{"a":1}', '{"b":"世界"}'));
    const answer = await post();
    expect(answer.body).toBe('data: {"a":1}\n\ndata: {"b":"世界"}\n\ndata: [DONE]\n\n');
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no', 'x-request-id': 'req_1' });
  });

  it('of responses has typed events and no [DONE]', async () => {
    const { request } = await openDoor(streaming('{"type":"response.created","response":{}}', '{"x":{"type":"message"}, "type": "response.completed"}'));
    expect((await request('/v1/responses', POST)).body).toBe('event: response.created\ndata: {"type":"response.created","response":{}}\n\nevent: response.completed\ndata: {"x":{"type":"message"}, "type": "response.completed"}\n\n');
  });

  it('without a chunk is a stream all the same', async () => {
    const { post } = await openDoor(streaming());
    expect((await post()).body).toBe('data: [DONE]\n\n');
  });

  it('that fails before its first chunk has a status; after it, it ends with an error and without [DONE]', async () => {
    const error = new PlatformError('model_unavailable', 'gone', { details: { reason: 'closed_mid_stream' } });
    expect((await (await openDoor(() => Promise.reject(error))).post()).status).toBe(503);
    const { post, request, log } = await openDoor(async (_kind, _body, { onChunk }) => (await onChunk('{"type":"a"}'), Promise.reject(error)));
    const said = { message: 'gone', type: 'server_error', param: null, code: 'model_unavailable' };
    const answer = await post();
    expect([answer.status, answer.body]).toEqual([200, `data: {"type":"a"}\n\ndata: ${JSON.stringify({ error: said })}\n\n`]);
    expect((await request('/v1/responses', POST)).body).toBe(`event: a\ndata: {"type":"a"}\n\nevent: error\ndata: ${JSON.stringify({ type: 'error', code: 'model_unavailable', message: 'gone', param: null, sequence_number: 1, error: said })}\n\n`);
    expect(log[0]).toContain('broke off');
  });

  it.each([['after its first chunk', true], ['before it', false]])('whose client leaves %s is told so', async (_, hasBegun) => {
    const asked = createGate();
    const left = createGate();
    let reason: unknown = null;
    const { port } = await openDoor((_kind, _body, { signal, onChunk }) => {
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
    const socket = ask(port);
    await asked.opened;
    if (hasBegun) await firstData(socket);
    socket.destroy();
    await left.opened;
    expect(reason).toMatchObject({ code: 'cancelled' });
  });

  it('tells nobody that the client has left when it leaves after the end', async () => {
    const signals: AbortSignal[] = [];
    const { post } = await openDoor(async (_kind, _body, { signal }) => (signals.push(signal), { document: '{}' }));
    await post({ headers: { ...POST.headers, connection: 'close' } });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it('waits for a slow reader, and cuts off one that has stopped', async () => {
    const waits: (Promise<void> | null)[] = [];
    const stopped = new Promise<unknown>((resolve) => {
      const flood: Ask = async (_kind, _body, { onChunk }) => {
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
      };
      void openDoor(flood, { stallMs: 50 }).then(({ port }) => ask(port).pause());
    });
    expect(await stopped).toMatchObject({ code: 'cancelled', message: 'The client reads too slowly.' });
    // What waits for one reader is one chunk beyond the kernel's buffers, not the whole stream.
    expect(waits.at(-1)).toBeInstanceOf(Promise);
  });

  it('that is silent shows that it lives', async () => {
    const silence = createGate();
    const { port } = await openDoor(async (_kind, _body, { onChunk }) => (await onChunk('{"a":1}'), await silence.opened, { document: null }), { heartbeatMs: 10 });
    const answer = await fetch(`http://127.0.0.1:${port}${CHAT}`, POST);
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes(': hb\n\n')) text += (await reader?.read())?.value ?? '';
    silence.open();
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) text += next.value;
    expect(text).toMatch(/^data: \{"a":1\}\n\n(: hb\n\n)+data: \[DONE\]\n\n$/);
  });
});

describe('a door that closes', () => {
  it('lets an answer that is under way be finished, takes no more, and cuts what does not end', async () => {
    const begun = createGate();
    const ending = createGate();
    const { door, post, port } = await openDoor(async () => (begun.open(), await ending.opened, { document: '{}' }));
    const asking = post();
    await begun.opened;
    const closing = door.close(1_000);
    ending.open();
    expect((await asking).status).toBe(200);
    await closing;
    await expect(fetch(`http://127.0.0.1:${port}/v1/models`)).rejects.toThrow('fetch failed');
    const hanging = await openDoor(async (_kind, _body, { onChunk }) => (await onChunk('{}'), await new Promise(() => undefined)));
    const socket = ask(hanging.port);
    await firstData(socket);
    await hanging.door.close(200);
  });
});
