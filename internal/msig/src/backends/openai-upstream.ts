import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, PlatformError } from '@openeaap/kernel';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Endpoint } from '../config/endpoint.ts';
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

/** Connections to one server; more requests wait for one, within their own timeout. */
const CONNECTIONS_MAX = 4_096;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of a list of models. */
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

/** The name to send. Errors: PlatformErrors, or the signal's reason. */
export function askedModel({ context }: Upstream, model: (signal: AbortSignal) => string | Promise<string>, signal: AbortSignal): string | Promise<string> {
  const name = model(signal);
  if (typeof name === 'string') return name;
  return name.catch((thrown: unknown) => {
    throw signal.aborted ? signal.reason : errorOfConnection(context, thrown);
  });
}

/** The first model of `GET /models`. */
export async function firstListedModel(upstream: Upstream, signal: AbortSignal): Promise<string> {
  const response = await get(upstream, '/models', signal);
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

/** Returns only a 2xx answer. Errors: as `errorOfStatus`, or what the connection throws. */
async function get({ context, pool, endpoint, now }: Upstream, path: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const headers = { accept: 'application/json', ...(context.apiKey === '' ? {} : { authorization: `Bearer ${context.apiKey}` }) };
  const response = await pool.request({ method: 'GET', path: `${endpoint.basePath}${path}`, headers, signal });
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
