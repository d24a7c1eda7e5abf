import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { ChatRequest } from '@openeaap/kernel';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Backend, BackendCall, BackendReply } from './backend.ts';
import { toChatCompletionsBody } from './chat-completions-request.ts';
import type { BackendConfig } from './config.ts';
import { parseEndpoint } from './endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import { estimateUsage } from './estimate-usage.ts';
import { linkAbort } from './link-abort.ts';
import { readAnswer } from './read-answer.ts';
import { createReplyAssembler } from './reply-assembler.ts';
import { errorOfConnection, errorOfStatus, invalidOutput, parseRetryAfter } from './upstream-error.ts';
import type { UpstreamContext } from './upstream-error.ts';

export interface OpenAiBackendDeps {
  readonly now: () => number;
  readonly newId: () => string;
  readonly random: () => number;
}

/** Connections to one server; more chats wait for one, within their own timeout. */
const CONNECTIONS_MAX = 256;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of an error page or a list of models. */
const SMALL_BODY_BYTES = 262_144;
const RETRY_WAIT_FIRST_MS = 250;
const RETRY_WAIT_MAX_MS = 8_000;

interface Upstream {
  readonly config: BackendConfig;
  readonly deps: OpenAiBackendDeps;
  readonly pool: Pool;
  readonly endpoint: Endpoint;
  readonly context: UpstreamContext;
  /** Asked once, kept while the backend lives; not kept when asking failed. */
  readonly model: (signal: AbortSignal) => Promise<string>;
}

/**
 * A server that speaks the OpenAI Chat Completions API: OpenAI, vLLM, Ollama, llama.cpp.
 * A failed try is repeated while nothing of it has been passed on, the error is `model_unavailable`,
 * tries are left and the wait (the server's own, where it names one) fits before the deadline.
 */
export function createOpenAiBackend(config: BackendConfig, deps: OpenAiBackendDeps): Backend {
  const endpoint = parseEndpoint(config.endpoint);
  // No pipelining: one long answer must not hold up the next. undici's own timeouts are off because each chat has an exact one.
  const pool = new Pool(endpoint.origin, { connections: CONNECTIONS_MAX, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: CONNECT_TIMEOUT_MS } });
  const context = { backend: config.name, apiKey: config.apiKey?.() ?? '' };
  let listed: string | null = null;
  const upstream: Upstream = {
    config, deps, pool, endpoint, context,
    model: async (signal) => {
      if (config.model !== '') return config.model;
      listed ??= await firstListedModel(upstream, signal);
      return listed;
    },
  };
  return {
    chat: (request, call) => chatWithRetries(upstream, request, call),
    close: () => pool.destroy(),
  };
}

async function chatWithRetries(upstream: Upstream, request: ChatRequest, call: BackendCall): Promise<BackendReply> {
  let passedOn = false;
  const watched: BackendCall = {
    ...call,
    onDelta: (text) => {
      passedOn = true;
      call.onDelta(text);
    },
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await chatOnce(upstream, request, watched);
    } catch (thrown) {
      call.signal.throwIfAborted();
      if (!(thrown instanceof PlatformError)) throw thrown;
      const waitMs = retryWaitMs(upstream, thrown, attempt);
      const mayRetry = thrown.code === 'model_unavailable' && thrown.details['reason'] !== 'timeout' && !passedOn;
      if (!mayRetry || attempt >= upstream.config.maxAttempts || upstream.deps.now() + waitMs >= call.deadlineMs) throw thrown;
      await sleep(waitMs, undefined, { signal: call.signal });
    }
  }
}

function retryWaitMs(upstream: Upstream, error: PlatformError, attempt: number): number {
  const asked = error.details['retry_after_ms'];
  if (typeof asked === 'number') return asked;
  // Half fixed, half spread, so that many chats that failed together do not come back together.
  const ceiling = Math.min(RETRY_WAIT_MAX_MS, RETRY_WAIT_FIRST_MS * 2 ** (attempt - 1));
  return Math.round(ceiling * (0.5 + upstream.deps.random() / 2));
}

async function chatOnce(upstream: Upstream, request: ChatRequest, call: BackendCall): Promise<BackendReply> {
  const { context, deps } = upstream;
  const attempt = linkAbort(call.signal);
  const firstByteMs = upstream.config.firstByteTimeoutMs;
  let timer = setTimeout(() => attempt.abort(silent(context, firstByteMs)), firstByteMs);
  const assembler = createReplyAssembler(context, deps.newId);
  try {
    const model = await upstream.model(attempt.signal);
    const body = toChatCompletionsBody(request, { model, origin: upstream.endpoint.origin });
    const response = await send(upstream, { method: 'POST', path: '/chat/completions', body, signal: attempt.signal });
    await readAnswer(response.body, context, {
      assembler,
      onDelta: call.onDelta,
      onFirstByte: () => clearTimeout(timer),
      onTail: (graceMs) => {
        clearTimeout(timer);
        timer = setTimeout(() => attempt.abort(noLongerRead()), graceMs);
      },
    });
    const reply = assembler.finish();
    const usage = assembler.usage() ?? estimateUsage(request, reply);
    call.onUsage(usage);
    return { ...reply, model: reply.model === '' ? model : reply.model, usage };
  } catch (thrown) {
    const reported = assembler.usage();
    if (reported !== null) call.onUsage(reported);
    if (attempt.signal.aborted && !(thrown instanceof PlatformError)) throw attempt.signal.reason;
    throw errorOfConnection(context, thrown);
  } finally {
    clearTimeout(timer);
    attempt.unlink();
    // Whatever of the answer is still under way is of no use to anybody: the server must stop working on it.
    attempt.abort(noLongerRead());
  }
}

interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** One request; returns only a 2xx answer. Errors: as `errorOfStatus`, or what the connection throws. */
async function send(upstream: Upstream, request: UpstreamRequest): Promise<Dispatcher.ResponseData> {
  const { context, pool, endpoint, deps } = upstream;
  const response = await pool.request({
    method: request.method,
    path: `${endpoint.basePath}${request.path}`,
    headers: {
      accept: request.method === 'GET' ? 'application/json' : 'text/event-stream, application/json',
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(context.apiKey === '' ? {} : { authorization: `Bearer ${context.apiKey}` }),
    },
    body: request.body ?? null,
    signal: request.signal,
  });
  if (response.statusCode >= 200 && response.statusCode < 300) return response;
  const retryAfterMs = parseRetryAfter(response.headers, deps.now());
  throw errorOfStatus(context, { status: response.statusCode, body: await readSmall(response.body), retryAfterMs });
}

/** Up to the limit; the rest is left unread and the connection given up. */
async function readSmall(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes >= SMALL_BODY_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, SMALL_BODY_BYTES).toString('utf8');
}

/** The first model of `GET /models`. */
async function firstListedModel(upstream: Upstream, signal: AbortSignal): Promise<string> {
  const response = await send(upstream, { method: 'GET', path: '/models', signal });
  const text = await readSmall(response.body);
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw invalidOutput(upstream.context, 'did not list its models as JSON; name the model in the configuration.');
  }
  const data: unknown = isJsonObject(list) ? list['data'] : undefined;
  const first: unknown = Array.isArray(data) ? data[0] : undefined;
  const id: unknown = isJsonObject(first) ? first['id'] : undefined;
  if (typeof id !== 'string' || id === '') throw invalidOutput(upstream.context, 'lists no model; name the model in the configuration.');
  return id;
}

function silent(context: UpstreamContext, firstByteMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${context.backend}" sent nothing within ${firstByteMs} ms.`, {
    details: { backend: context.backend, reason: 'timeout', timeout_ms: firstByteMs },
  });
}

function noLongerRead(): PlatformError {
  return new PlatformError('cancelled', 'The answer is no longer read.');
}
