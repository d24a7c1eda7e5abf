import type { JsonObject } from '@openeaap/kernel';
import { isJsonObject, LIMITS, PlatformError } from '@openeaap/kernel';
import type { Dispatcher } from 'undici';
import { errors } from 'undici';

export interface JsonRequest {
  /** Name of the product for messages, e.g. `The threat intelligence service`. */
  readonly peer: string;
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: JsonObject;
  /** The caller's: an abort is `cancelled`. */
  readonly signal: AbortSignal;
  /** Whole call, from connecting to the last byte. */
  readonly timeoutMs: number;
}

export type JsonReply = { readonly kind: 'ok'; readonly body: JsonObject } | { readonly kind: 'not_found' };

/** Statuses after which the same request may succeed: timeout, too early, too many requests. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * One HTTP call with a bound on time and on bytes. Redirects are not followed: a key would travel to a
 * host that nobody configured. What a peer says about its failure stays out of the message.
 * Errors: `tool_unavailable` (refused, reset, 5xx, 429), `tool_timeout`, `cancelled`, and `tool_failed`
 * for everything that another try will not cure.
 */
export async function requestJson(dispatcher: Dispatcher, request: JsonRequest): Promise<JsonReply> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signal = AbortSignal.any([request.signal, timeout]);
  try {
    const response = await dispatcher.request({
      origin: request.url.origin,
      path: `${request.url.pathname}${request.url.search}`,
      method: request.method,
      headers: { accept: 'application/json', ...(request.body === undefined ? {} : { 'content-type': 'application/json' }), ...request.headers },
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal,
    });
    const refusal = toRefusal(request.peer, response.statusCode);
    if (refusal === undefined) return { kind: 'ok', body: parseJson(request.peer, await readBounded(request.peer, response)) };
    await discard(response);
    if (refusal === 'not_found') return { kind: 'not_found' };
    throw refusal;
  } catch (thrown) {
    throw toToolError(request, thrown, timeout.aborted);
  }
}

function toRefusal(peer: string, status: number): PlatformError | 'not_found' | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 404) return 'not_found';
  const details = { status };
  if (status >= 500 || RETRYABLE_STATUSES.has(status)) {
    return new PlatformError('tool_unavailable', `${peer} cannot answer at the moment (HTTP ${status}).`, { details });
  }
  if (status === 401 || status === 403) {
    return new PlatformError('tool_failed', `${peer} refused our credentials (HTTP ${status}). Check the key in the platform's secrets.`, { details });
  }
  return new PlatformError('tool_failed', `${peer} refused the request (HTTP ${status}).`, { details });
}

async function readBounded(peer: string, response: Dispatcher.ResponseData): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    const chunk = Buffer.from(part as Uint8Array);
    bytes += chunk.length;
    // Leaving the loop destroys the stream, so that the rest is never received.
    if (bytes > LIMITS.toolResponseBytes) throw new PlatformError('tool_failed', `${peer} sent more than ${LIMITS.toolResponseBytes} bytes.`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/** Most bytes of an error page that are read to keep the connection; beyond it, the connection is dropped. */
const DISCARD_BYTES = 65_536;

async function discard(response: Dispatcher.ResponseData): Promise<void> {
  await response.body.dump({ limit: DISCARD_BYTES });
}

function parseJson(peer: string, bytes: Buffer): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new PlatformError('tool_failed', `${peer} answered with something that is not JSON.`, { cause });
  }
  throw new PlatformError('tool_failed', `${peer} answered with JSON that is not an object.`);
}

function toToolError(request: JsonRequest, thrown: unknown, timedOut: boolean): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  if (request.signal.aborted) return new PlatformError('cancelled', 'The call was cancelled.', { cause: thrown });
  if (timedOut) return new PlatformError('tool_timeout', `${request.peer} did not answer within ${request.timeoutMs} ms.`, { cause: thrown });
  if (thrown instanceof errors.InvalidArgumentError) {
    return new PlatformError('tool_failed', `The request to ${request.peer} could not be made; a secret may hold a line break.`, { cause: thrown });
  }
  return new PlatformError('tool_unavailable', `${request.peer} cannot be reached.`, { cause: thrown });
}
