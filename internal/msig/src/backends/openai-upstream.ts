import { isJsonObject } from '@openeaap/kernel';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Endpoint } from '../config/endpoint.ts';
import { upstreamPath } from './upstream-path.ts';
import type { UpstreamCall } from './upstream-path.ts';
import { errorOfConnection, errorOfStatus, invalidOutput, parseRetryAfter } from './upstream-error.ts';
import type { UpstreamContext } from './upstream-error.ts';

/** A server that speaks the OpenAI API. */
export interface Upstream {
  readonly pool: Pool;
  readonly endpoint: Endpoint;
  readonly context: UpstreamContext;
  /** Silence before the first byte of a streamed answer. */
  readonly firstByteTimeoutMs: number;
  /** Milliseconds since the epoch, for a Retry-After may name a date. */
  readonly now: () => number;
}

/** Connections to one server; more requests wait for one, within their own timeout. */
const CONNECTIONS_MAX = 4_096;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of a list of models. */
const SMALL_BODY_BYTES = 262_144;

/** No pipelining: one long answer must not hold up the next. undici's own timeouts are off because each chat has an exact one. */
export function openPool(origin: string): Pool {
  return new Pool(origin, { connections: CONNECTIONS_MAX, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: CONNECT_TIMEOUT_MS } });
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
  const response = await get(upstream, 'models', signal);
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
async function get({ context, pool, endpoint, now }: Upstream, call: UpstreamCall, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const headers = { accept: 'application/json', ...(context.apiKey === '' ? {} : { authorization: `Bearer ${context.apiKey}` }) };
  const response = await pool.request({ method: 'GET', path: upstreamPath(endpoint, call), headers, signal });
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
