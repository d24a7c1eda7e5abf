import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Endpoint } from '../config/endpoint.ts';
import { linkAbort } from './link-abort.ts';
import { readAnswer } from '../answer/read-answer.ts';
import type { AnswerSink } from '../answer/read-answer.ts';
import { errorOfConnection, errorOfStatus, invalidOutput, parseRetryAfter } from './upstream-error.ts';
import type { UpstreamContext } from './upstream-error.ts';

/** A server that speaks the OpenAI API, and how patient we are with it. */
export interface Upstream {
  readonly pool: Pool;
  readonly endpoint: Endpoint;
  readonly context: UpstreamContext;
  /** Silence before the first byte of a streamed answer. */
  readonly firstByteTimeoutMs: number;
  readonly maxAttempts: number;
  readonly now: () => number;
  /** 0 up to 1; spreads the waits between tries. */
  readonly random: () => number;
}

/** Connections to one server; more chats wait for one, within their own timeout. */
const CONNECTIONS_MAX = 256;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of an error page or a list of models. */
const SMALL_BODY_BYTES = 262_144;
const RETRY_WAIT_FIRST_MS = 250;
const RETRY_WAIT_MAX_MS = 8_000;

/** No pipelining: one long answer must not hold up the next. undici's own timeouts are off because each chat has an exact one. */
export function openPool(origin: string): Pool {
  return new Pool(origin, { connections: CONNECTIONS_MAX, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: CONNECT_TIMEOUT_MS } });
}

export interface Tries {
  readonly signal: AbortSignal;
  /** On the upstream's clock: no wait may go beyond it. */
  readonly deadlineMs: number;
  /** Something of the answer has reached the caller and cannot be taken back. */
  readonly passedOn: () => boolean;
}

/**
 * A failed try is repeated while nothing of it has been passed on, the error is `model_unavailable`
 * and not a timeout, the server did not say that it is of no use, tries are left, and the wait (the
 * server's own, where it names one) fits before the deadline.
 */
export async function withRetries<T>(upstream: Upstream, tries: Tries, attempt: () => Promise<T>): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      tries.signal.throwIfAborted();
      if (!(thrown instanceof PlatformError)) throw thrown;
      const waitMs = retryWaitMs(upstream, thrown, made);
      const mayRetry = thrown.code === 'model_unavailable' && thrown.details['reason'] !== 'timeout' && thrown.details['should_retry'] !== false && !tries.passedOn();
      if (!mayRetry || made >= upstream.maxAttempts || upstream.now() + waitMs >= tries.deadlineMs) throw thrown;
      await sleep(waitMs, undefined, { signal: tries.signal });
    }
  }
}

function retryWaitMs(upstream: Upstream, error: PlatformError, attempt: number): number {
  const asked = error.details['retry_after_ms'];
  if (typeof asked === 'number') return asked;
  // Half fixed, half spread, so that many chats that failed together do not come back together.
  const ceiling = Math.min(RETRY_WAIT_MAX_MS, RETRY_WAIT_FIRST_MS * 2 ** (attempt - 1));
  return Math.round(ceiling * (0.5 + upstream.random() / 2));
}

export interface Exchange {
  readonly signal: AbortSignal;
  /** Made under the try's own signal, for a model may have to be asked for first. */
  readonly body: (signal: AbortSignal) => Promise<string>;
  readonly sink: AnswerSink;
  /** null: only the caller's clock bounds the silence, as before an answer that comes in one piece. */
  readonly firstByteTimeoutMs: number | null;
}

/** One `POST /chat/completions`, read into the sink to its end. Errors: PlatformErrors, or the signal's reason. */
export async function exchange(upstream: Upstream, { signal, body, sink, firstByteTimeoutMs }: Exchange): Promise<void> {
  const { context } = upstream;
  const attempt = linkAbort(signal);
  let timer = firstByteTimeoutMs === null ? undefined : setTimeout(() => attempt.abort(silent(context, firstByteTimeoutMs)), firstByteTimeoutMs);
  try {
    const response = await send(upstream, { method: 'POST', path: '/chat/completions', body: await body(attempt.signal), signal: attempt.signal });
    await readAnswer(response.body, context, sink, {
      onFirstByte: () => clearTimeout(timer),
      onTail: (graceMs) => {
        clearTimeout(timer);
        timer = setTimeout(() => attempt.abort(noLongerRead()), graceMs);
      },
    });
  } catch (thrown) {
    if (attempt.signal.aborted && !(thrown instanceof PlatformError)) throw attempt.signal.reason;
    throw errorOfConnection(context, thrown);
  } finally {
    clearTimeout(timer);
    attempt.unlink();
    // Whatever of the answer is still under way is of no use to anybody: the server must stop working on it.
    attempt.abort(noLongerRead());
  }
}

/** The first model of `GET /models`. */
export async function firstListedModel(upstream: Upstream, signal: AbortSignal): Promise<string> {
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

interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** One request; returns only a 2xx answer. Errors: as `errorOfStatus`, or what the connection throws. */
async function send(upstream: Upstream, request: UpstreamRequest): Promise<Dispatcher.ResponseData> {
  const { context, pool, endpoint, now } = upstream;
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
  throw errorOfStatus(context, {
    status: response.statusCode,
    body: await readSmall(response.body),
    retryAfterMs: parseRetryAfter(response.headers, now()),
    shouldRetry: response.headers['x-should-retry'] !== 'false',
  });
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

function silent(context: UpstreamContext, firstByteMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${context.backend}" sent nothing within ${firstByteMs} ms.`, {
    details: { backend: context.backend, reason: 'timeout', timeout_ms: firstByteMs },
  });
}

function noLongerRead(): PlatformError {
  return new PlatformError('cancelled', 'The answer is no longer read.');
}
