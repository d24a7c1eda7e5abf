import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '@openeaap/kernel';
import { REQUEST_PATHS } from '../request/model-request.ts';
import type { RequestKind } from '../request/model-request.ts';
import { createVllmEngine } from './vllm-engine.ts';
import type { VllmEngine } from './vllm-engine.ts';
import { findProblem, maxTokensOf } from './vllm-problem.ts';
import type { Problem } from './vllm-problem.ts';
import { vllmMetrics } from './vllm-metrics-text.ts';
import { chatChunks, completionChunks, responseEvents } from './vllm-chunks.ts';
import { documentOf, promptText, toTokens } from './vllm-words.ts';
import type { Told, VllmAnswer } from './vllm-words.ts';

/** A small double of a vLLM server: its words are those that a real 0.32 was seen to use (docs/vllm.md). */
export interface VllmDouble {
  /** Without `/v1`, as `endpoint` has it. */
  readonly url: string;
  /** Every request, also those to paths that a gateway must not know. */
  readonly requests: readonly SeenByVllm[];
  /** The next requests for answers get one each, then all is normal again. */
  readonly misbehave: (...behaviours: readonly Misbehaviour[]) => void;
  readonly engine: Pick<VllmEngine, 'running' | 'waiting' | 'prefixHits' | 'prefixQueries'>;
  /** Requests for answers whose client went away before the end. */
  readonly aborted: () => number;
  readonly connections: () => number;
  /** false: `/health` answers 503, as when the engine died. */
  readonly setHealthy: (isHealthy: boolean) => void;
  /** Ends the connections that nobody uses, as a server does after its keep-alive time. */
  readonly closeIdle: () => void;
  readonly close: () => Promise<void>;
}

export interface VllmDoubleOptions {
  readonly model?: string;
  readonly adapters?: readonly string[];
  readonly apiKey?: string;
  readonly maxModelLen?: number;
  readonly maxNumSeqs?: number;
  /** As `--scheduling-policy priority`; without it a priority other than 0 is refused. */
  readonly priorityScheduling?: boolean;
  /** As `--enable-prompt-tokens-details`: usage tells cached tokens. */
  readonly promptTokensDetails?: boolean;
  readonly blockTokens?: number;
  /** Of each prompt token that the prefix cache has not. */
  readonly prefillMs?: number;
  /** Before each token of the answer. */
  readonly tokenMs?: number;
  readonly answer?: (body: JsonObject) => VllmAnswer;
  /** Unix seconds of `created`. */
  readonly now?: () => number;
}

export interface SeenByVllm {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: JsonObject;
}

export type Misbehaviour =
  /** The connection breaks after so many chunks; 0: before the status. */
  | { readonly kind: 'break'; readonly afterChunks: number }
  /** Silence after so many chunks, with the connection open; 0: not even a status. */
  | { readonly kind: 'hang'; readonly afterChunks: number }
  /** One chunk that is no JSON, then the rest. */
  | { readonly kind: 'malformed'; readonly afterChunks: number }
  /** vLLM's own way to say that it failed after it had begun. */
  | { readonly kind: 'error_in_stream'; readonly afterChunks: number }
  | { readonly kind: 'status'; readonly status: number; readonly message?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'slow'; readonly chunkMs: number };

type Settings = Required<Omit<VllmDoubleOptions, 'apiKey'>> & { readonly apiKey: string };

interface State {
  readonly settings: Settings;
  readonly engine: VllmEngine;
  readonly misbehaviours: Misbehaviour[];
  aborted: number;
  answered: number;
  isHealthy: boolean;
}

const DEFAULTS: Settings = {
  model: 'tiny',
  adapters: [],
  apiKey: '',
  maxModelLen: 4_096,
  maxNumSeqs: 256,
  priorityScheduling: true,
  promptTokensDetails: true,
  blockTokens: 16,
  prefillMs: 0,
  tokenMs: 0,
  answer: (body) => ({ tokens: toTokens(`An answer to ${promptText(body).slice(-40)}`) }),
  now: () => Math.floor(Date.now() / 1_000),
};

export async function startVllmDouble(options: VllmDoubleOptions = {}): Promise<VllmDouble> {
  const settings = { ...DEFAULTS, ...options };
  const engine = createVllmEngine({ maxSeqs: settings.maxNumSeqs, blockTokens: settings.blockTokens });
  const state: State = { settings, engine, misbehaviours: [], aborted: 0, answered: 0, isHealthy: true };
  const requests: SeenByVllm[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    // A client that goes away while its request is read is no failure of the test.
    void serve(request, response, { state, requests }).catch(() => response.destroy());
  });
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    misbehave: (...next) => void state.misbehaviours.push(...next),
    engine,
    aborted: () => state.aborted,
    connections: () => connections,
    setHealthy: (isHealthy) => (state.isHealthy = isHealthy),
    closeIdle: () => server.closeIdleConnections(),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, { state, requests }: { readonly state: State; readonly requests: SeenByVllm[] }): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const path = request.url ?? '';
  const seen = { method: request.method ?? '', path, headers: request.headers, text, body: parseBody(text) };
  requests.push(seen);
  // Only these are behind the key: everything else of the real server is open to whoever reaches it.
  const isGuarded = /^\/(v1|v2|inference|cohere)/.test(path);
  if (isGuarded && state.settings.apiKey !== '' && request.headers.authorization !== `Bearer ${state.settings.apiKey}`) return sendJson(response, 401, { error: 'Unauthorized' });
  if (seen.method === 'GET') return serveGet(path, response, state);
  const kind = ANSWERED_PATHS[path];
  if (kind === undefined) return sendJson(response, path in OPEN_PATHS ? 200 : 404, OPEN_PATHS[path] ?? { detail: 'Not Found' });
  const problem = findProblem(seen.body, kind, state.settings);
  if (problem !== null) return sendError(response, problem);
  await answer(seen.body, response, { kind, state });
}

function parseBody(text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return {};
  }
}

/** Some of what the real server leaves open even with a key, so that a test can see that nobody gets there. */
const OPEN_PATHS: Readonly<Record<string, object>> = {
  '/invocations': { reached: true },
  '/tokenize': { count: 2, max_model_len: 4_096, tokens: [77, 78], token_strs: null },
  '/detokenize': { prompt: 'hi' },
  '/pooling': { reached: true },
  '/v1/load_lora_adapter': { reached: true },
  '/ping': {},
};

function serveGet(path: string, response: ServerResponse, { settings, engine, isHealthy, aborted, answered }: State): void {
  if (path === '/health' || path === '/ping') return void response.writeHead(isHealthy ? 200 : 503).end();
  if (path === '/version') return sendJson(response, 200, { version: '0.32.0' });
  if (path === '/metrics') return void response.writeHead(200, { 'content-type': 'text/plain; version=1.0.0; charset=utf-8' }).end(vllmMetrics({ model: settings.model, engine, aborted, answered }));
  if (path !== '/v1/models') return sendJson(response, 404, { detail: 'Not Found' });
  const created = settings.now();
  const model = { id: settings.model, object: 'model', created, owned_by: 'vllm', root: settings.model, parent: null, max_model_len: settings.maxModelLen, permission: [] };
  const adapters = settings.adapters.map((id) => ({ ...model, id, root: id, parent: settings.model, max_model_len: null }));
  sendJson(response, 200, { object: 'list', data: [model, ...adapters] });
}

const ANSWERED_PATHS: Readonly<Record<string, RequestKind>> = Object.fromEntries(Object.entries(REQUEST_PATHS).map(([kind, path]) => [`/v1${path}`, kind as RequestKind]));

/** One place in the batch, the prompt's time, then the answer; the client's leaving ends it at once. */
async function answer(body: JsonObject, response: ServerResponse, { kind, state }: { readonly kind: RequestKind; readonly state: State }): Promise<void> {
  const { settings, engine } = state;
  const gone = new AbortController();
  const misbehaviour = state.misbehaviours.shift() ?? null;
  let hasPlace = false;
  response.once('close', () => {
    if (!response.writableFinished && misbehaviour?.kind !== 'break') state.aborted += 1;
    gone.abort(new Error('the client went away'));
  });
  try {
    if (misbehaviour?.kind === 'status') return sendError(response, { status: misbehaviour.status, type: misbehaviour.status === 429 ? 'TooManyRequestsError' : 'InternalServerError', param: null, message: misbehaviour.message ?? 'asked to by the test' }, misbehaviour.headers);
    await engine.enter(typeof body['priority'] === 'number' ? body['priority'] : 0, gone.signal);
    hasPlace = true;
    const tokens = toTokens(promptText(body));
    const adapter = typeof body['model'] === 'string' && body['model'] !== settings.model ? body['model'] : '';
    const cached = engine.prefill({ tokens, salt: typeof body['cache_salt'] === 'string' ? body['cache_salt'] : null, adapter });
    await pause((tokens.length - cached) * settings.prefillMs, gone.signal);
    state.answered += 1;
    const told = tell(body, { settings, number: state.answered, promptTokens: tokens.length, cached });
    const pace = { misbehaviour, signal: gone.signal, tokenMs: misbehaviour?.kind === 'slow' ? misbehaviour.chunkMs : settings.tokenMs };
    await (body['stream'] === true ? sendStream(response, framesOf(kind, body, told), pace) : sendWhole(response, documentOf(kind, body, told), { ...pace, told }));
  } catch (thrown) {
    if (!gone.signal.aborted) throw thrown;
  } finally {
    if (hasPlace) engine.leave();
  }
}

function tell(body: JsonObject, { settings, number, promptTokens, cached }: { readonly settings: Settings; readonly number: number; readonly promptTokens: number; readonly cached: number }): Told {
  const full = settings.answer(body);
  const room = Math.min(maxTokensOf(body) ?? Number.MAX_SAFE_INTEGER, settings.maxModelLen - promptTokens);
  const tokens = full.tokens.slice(0, room);
  const finishReason = tokens.length < full.tokens.length ? 'length' : full.toolCalls === undefined ? 'stop' : 'tool_calls';
  const model = typeof body['model'] === 'string' ? body['model'] : settings.model;
  const completionTokens = Math.max(1, tokens.length + (full.reasoning?.length ?? 0) + (full.toolCalls?.length ?? 0) * 8);
  return { id: String(number).padStart(16, '0'), model, created: settings.now(), answer: { ...full, tokens }, finishReason, promptTokens, completionTokens, cachedTokens: settings.promptTokensDetails ? cached : null };
}

function framesOf(kind: RequestKind, body: JsonObject, told: Told): readonly string[] {
  if (kind === 'responses') return responseEvents(told).map((event) => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`);
  const options = body['stream_options'] as JsonObject | undefined;
  const wish = { usage: options?.['include_usage'] === true, usageOnEveryChunk: options?.['continuous_usage_stats'] === true };
  const chunks = kind === 'chat' ? chatChunks(told, wish) : completionChunks(told, wish);
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'];
}

interface Pace {
  readonly misbehaviour: Misbehaviour | null;
  readonly signal: AbortSignal;
  readonly tokenMs: number;
}

async function sendStream(response: ServerResponse, frames: readonly string[], { misbehaviour, signal, tokenMs }: Pace): Promise<void> {
  const special = misbehaviour !== null && 'afterChunks' in misbehaviour ? misbehaviour : null;
  if (special?.afterChunks === 0) {
    if (special.kind === 'break') return void response.destroy();
    if (special.kind === 'hang') return untilGone(signal);
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const [index, frame] of frames.entries()) {
    if (index === special?.afterChunks) {
      if (special.kind === 'break') return void response.destroy();
      if (special.kind === 'hang') return untilGone(signal);
      if (special.kind === 'malformed') response.write('data: {"id":"chatcmpl-\n\n');
      if (special.kind === 'error_in_stream') return void response.end('data: {"error": {"message": "EngineCore encountered an issue. See stack trace (above) for the root cause.", "type": "InternalServerError", "param": null, "code": 500}}\n\ndata: [DONE]\n\n');
    }
    await pause(tokenMs, signal);
    // What was written before a break has left when the connection ends.
    if (special?.kind === 'break' && index + 1 === special.afterChunks) await new Promise<void>((resolve) => void response.write(frame, () => resolve()));
    else if (!response.write(frame)) await once(response, 'drain', { signal });
  }
  response.end();
}

async function sendWhole(response: ServerResponse, document: object, { misbehaviour, signal, tokenMs, told }: Pace & { readonly told: Told }): Promise<void> {
  if (misbehaviour?.kind === 'break') return void response.destroy();
  if (misbehaviour?.kind === 'hang') return untilGone(signal);
  if (misbehaviour?.kind === 'malformed') return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"chatcmpl-');
  await pause(tokenMs * told.completionTokens, signal);
  sendJson(response, 200, document);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal });
}

async function untilGone(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

function sendError(response: ServerResponse, problem: Problem, headers: Readonly<Record<string, string>> = {}): void {
  sendJson(response, problem.status, { error: { message: problem.message, type: problem.type, param: problem.param, code: problem.status } }, headers);
}

function sendJson(response: ServerResponse, status: number, document: object, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document));
}
