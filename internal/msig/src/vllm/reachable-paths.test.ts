import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createOpenAiDoor } from '@openeaap/http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseEndpoint } from '../config/endpoint.ts';
import type { Gateway } from '../gateway.ts';
import { REQUEST_KINDS } from '../request/model-request.ts';
import { parseRequest } from '../request/parse-request.ts';
import { ACCESS, backendAt, configOf, makeGateway } from '../testing/make-gateway.ts';
import { startVllmDouble } from '../testing/vllm-double.ts';
import type { VllmDouble } from '../testing/vllm-double.ts';
import { upstreamPath } from '../backends/upstream-path.ts';

/** All that a vLLM server may ever be asked for. */
const ALLOWED = ['POST /v1/chat/completions', 'POST /v1/completions', 'POST /v1/embeddings', 'POST /v1/rerank', 'POST /v1/responses', 'GET /v1/models', 'GET /metrics'];

/** What a real 0.32 has beside them: open to everybody, for operators, or for tests of its own. */
const FORBIDDEN = [
  '/invocations', '/ping', '/pooling', '/classify', '/score', '/rerank', '/generative_scoring', '/tokenize', '/detokenize', '/load', '/version', '/kv_event_sources', '/metrics', '/health', '/docs', '/openapi.json',
  '/pause', '/resume', '/is_paused', '/scale_elastic_ep', '/is_scaling_elastic_ep', '/update_weights', '/abort_requests',
  '/sleep', '/wake_up', '/is_sleeping', '/reset_prefix_cache', '/reset_mm_cache', '/reset_encoder_cache', '/server_info', '/collective_rpc',
  '/v1/load_lora_adapter', '/v1/unload_lora_adapter', '/v1/chat/completions/batch', '/v1/chat/completions/render', '/v1/messages', '/v1/messages/count_tokens', '/v1/systemone', '/v1/audio/transcriptions', '/v1/score', '/v1/responses/resp_1/cancel',
  '/inference/v1/generate', '/v2/embed', '/v2/rerank', '/cohere/v2/chat',
];

/** Ways to write a path so that one reader sees another than the next. */
const TRICKS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `/v1/chat/completions/..${path.startsWith('/v1') ? `/..${path.slice('/v1'.length)}` : `/../..${path}`}`,
  (path) => `/v1/models/..%2f..${path.replaceAll('/', '%2f')}`,
  (path) => `/v1/models/%2e%2e/%2e%2e${path}`,
  (path) => `/v1//..${path}`,
  (path) => `/v1/chat/completions;${path}`,
  (path) => `/v1/chat/completions#${path}`,
  (path) => `/v1/chat/completions%00${path}`,
  (path) => `\\..\\..${path}`,
  (path) => `//elsewhere${path}`,
  (path) => `/v1${path}`,
  (path) => `http://elsewhere${path}`,
  (path) => path.toUpperCase(),
  (path) => `${path}/`,
];

const NAMES_OF_MODELS = ['../../invocations', '/invocations', 'tiny/../../tokenize', 'tiny?x=/pause', 'tiny#/sleep', '%2e%2e%2finvocations', 'http://elsewhere/v1', 'tiny\r\nGET /pause HTTP/1.1\r\n\r\n', '..', '\u0000', '/v1/load_lora_adapter'];

describe('vLLM is asked for nothing but what the gateway asks for', () => {
  let double: VllmDouble;
  let gateway: Gateway;
  let port = 0;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    double = await startVllmDouble({ adapters: ['tiny/../../tokenize'] });
    // Every model name is somebody's: the backend, its model, an adapter.
    const backend = backendAt(double.url, { type: 'vllm', name: '../../invocations', model: 'tiny', adapters: ['tiny/../../tokenize'], kinds: REQUEST_KINDS, vllm: { cacheSharing: 'tenant', priority: false, metricsIntervalMs: 1_000 } });
    gateway = makeGateway(configOf(backend));
    const session = {
      models: gateway.models,
      findModel: gateway.findModel,
      ask: async (kind: (typeof REQUEST_KINDS)[number], body: string, call: Pick<Parameters<Gateway['ask']>[1], 'signal' | 'onChunk'>) => gateway.ask(parseRequest(kind, body), { signal: call.signal, onChunk: call.onChunk, access: ACCESS }),
    };
    const door = createOpenAiDoor({ enter: () => session }, { newId: () => 'id', now: Date.now, logger: { info: () => undefined, error: () => undefined } });
    await door.listen({ host: '127.0.0.1', port: 0 });
    ({ port } = door.server.address() as AddressInfo);
    closers.push(() => door.close(1_000), gateway.close, double.close);
  });
  afterAll(async () => {
    for (const close of closers) await close();
  });
  const neverToBeAsked = (): readonly string[] => [...new Set(double.requests.map(({ method, path }) => `${method} ${path}`))].filter((each) => !ALLOWED.includes(each));

  /** As raw text, for an HTTP client would tidy the path up. Returns the status line. */
  const send = (head: string, body = ''): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${head}\r\nhost: door\r\nauthorization: Bearer k\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`));
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', reject).on('close', () => resolve(text.split('\r\n')[0] ?? ''));
    });

  it('whatever path a client writes, and however', async () => {
    const body = JSON.stringify({ model: 'tiny', prompt: 'hi', input: 'hi', messages: [{ role: 'user', content: 'hi' }] });
    const before = double.requests.length;
    const paths = FORBIDDEN.flatMap((path) => TRICKS.map((trick) => trick(path))).filter((path) => !/^\/v1\/(rerank|models)\/?$/.test(path));
    const statuses = await Promise.all(paths.map((path) => send(`POST ${path} HTTP/1.1`, body)));
    expect(statuses.filter((status) => !/^HTTP\/1\.1 4\d\d /.test(status))).toEqual([]);
    expect(double.requests.slice(before).filter(({ method }) => method === 'POST')).toEqual([]);
    expect(neverToBeAsked()).toEqual([]);
    expect(paths.length).toBeGreaterThan(400);
  });

  it('whatever model a client names', async () => {
    for (const kind of ['chat', 'completions', 'embeddings', 'rerank', 'responses'] as const) {
      const path = upstreamPath(parseEndpoint('http://x'), kind);
      const bodies = NAMES_OF_MODELS.map((model) => JSON.stringify({ model, prompt: 'hi', input: 'hi', query: 'hi', documents: ['a'], messages: [{ role: 'user', content: 'hi' }], path: '/pause', url: '/pause' }));
      const statuses = await Promise.all(bodies.map((body) => send(`POST ${path} HTTP/1.1`, body)));
      // The first and the third are names of ours: they are asked for, at the one path of their kind.
      expect(statuses.map((status) => status.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length))).toEqual(NAMES_OF_MODELS.map((_, index) => (index === 0 || index === 2 ? '200' : '404')));
    }
    expect(new Set(double.requests.filter(({ method }) => method === 'POST').map(({ path }) => path)).size).toBe(5);
    expect(neverToBeAsked()).toEqual([]);
  });

  it('whatever else a client says in its headers or in a query', async () => {
    const body = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hi' }] });
    const before = double.requests.length;
    await send('POST /v1/chat/completions?path=/pause HTTP/1.1\r\nx-original-url: /pause\r\nx-forwarded-prefix: /pause\r\nx-request-id: theirs\r\nx-vllm-priority: -9\r\nx-data-parallel-rank: 1', body);
    await send('POST /v1/chat/completions HTTP/1.1\r\nx-original-url: /pause\r\nx-request-id: theirs\r\nx-vllm-priority: -9\r\nx-data-parallel-rank: 1', body);
    const headers = double.requests.slice(before).filter(({ method }) => method === 'POST').map((seen) => seen.headers);
    expect(headers.length).toBeGreaterThan(0);
    // vLLM would take its priority, its engine and the request's name from these.
    for (const seen of headers) expect(Object.keys(seen).filter((name) => name.startsWith('x-'))).toEqual([]);
  });
});

describe('the path of a call', () => {
  it.each([
    ['http://vllm:8000', 'chat', '/v1/chat/completions'],
    ['http://vllm:8000/v1/', 'models', '/v1/models'],
    ['http://vllm:8000', 'metrics', '/metrics'],
    ['https://proxy/team-a/v1', 'metrics', '/team-a/metrics'],
    ['https://proxy/team-a/v1', 'rerank', '/team-a/v1/rerank'],
    ['https://proxy/models', 'metrics', '/models/metrics'],
  ] as const)('of %s for %s is %s', (endpoint, call, path) => {
    expect(upstreamPath(parseEndpoint(endpoint), call)).toBe(path);
  });
});
