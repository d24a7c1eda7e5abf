import { ApiError, toApiError } from './api-error.ts';
import { pause } from './pause.ts';

/** Where the server is and who asks. */
export interface Connection {
  readonly baseUrl: URL;
  readonly apiKey: string | null;
  readonly fetch: typeof fetch;
  /** Of one try of a request, until its answer is read; of a stream, until it has begun. */
  readonly timeoutMs: number;
}

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Behind `/api/v1/`, each segment as it is. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number | boolean | null | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** The same request twice is one: it may be sent again when nobody knows whether it arrived. */
  readonly repeatable?: boolean;
}

const TRIES = 4;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
/** More than any page of the API can be. */
const ANSWER_BYTES = 67_108_864;

/** The parsed answer; undefined for an empty one. Errors: ApiError; the signal's reason when it aborts. */
export async function sendRequest(connection: Connection, request: ApiRequest): Promise<unknown> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tryOnce(connection, request);
    } catch (thrown) {
      const mayRepeat = (request.repeatable ?? (request.method ?? 'GET') === 'GET') && tries < TRIES;
      if (!mayRepeat || !(thrown instanceof ApiError) || !thrown.retryable) throw thrown;
      await pause(Math.min(thrown.retryAfterMs ?? FIRST_WAIT_MS * 2 ** (tries - 1), LONGEST_WAIT_MS), request.signal);
    }
  }
}

async function tryOnce(connection: Connection, request: ApiRequest): Promise<unknown> {
  return withDeadline(connection.timeoutMs, request.signal, async (signal) => {
    const response = await open(connection, request, signal);
    const text = await readText(response);
    if (text === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (thrown) {
      throw new ApiError('bad_response', `The server answered HTTP ${response.status} with something that is not JSON. Is this the address of an OpenEAAP server?`, { status: response.status, cause: thrown });
    }
  });
}

/** A 2xx response whose body the caller reads; the deadline ends with its beginning. */
export function openResponse(connection: Connection, request: ApiRequest, signal: AbortSignal): Promise<Response> {
  return withDeadline(connection.timeoutMs, undefined, async (late) => {
    // Once the response has begun, only the caller's own signal ends it.
    const both = new AbortController();
    const abort = (): void => both.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    late.addEventListener('abort', () => both.abort(late.reason), { once: true });
    if (signal.aborted) abort();
    return open(connection, request, both.signal);
  }, signal);
}

async function open({ baseUrl, apiKey, fetch }: Connection, request: ApiRequest, signal: AbortSignal): Promise<Response> {
  const response = await fetch(urlOf(baseUrl, request), {
    method: request.method ?? 'GET',
    // The key must not follow a redirect to somewhere else.
    redirect: 'manual',
    signal,
    headers: {
      accept: 'application/json',
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
  if (response.ok) return response;
  // In a browser a redirect has neither status nor address.
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) throw new ApiError('bad_response', `${baseUrl.href} redirects. Give the final address as url.`, response.status === 0 ? {} : { status: response.status });
  throw toApiError(response, await readText(response));
}

export function urlOf(baseUrl: URL, { path, query = {} }: Pick<ApiRequest, 'path' | 'query'>): URL {
  for (const segment of path) {
    // An empty or dot segment would name another resource than the one meant.
    if (segment === '' || segment === '.' || segment === '..') throw new ApiError('invalid_input', `${JSON.stringify(segment)} is not an id or a name.`);
  }
  const url = new URL(`${baseUrl.pathname.replace(/\/+$/, '')}/api/v1/${path.map(encodeURIComponent).join('/')}`, baseUrl);
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) url.searchParams.set(name, String(value));
  return url;
}

/** Runs one exchange; what goes wrong below HTTP becomes an ApiError, what the caller's signal says is thrown as it is. */
async function withDeadline<T>(timeoutMs: number, caller: AbortSignal | undefined, exchange: (signal: AbortSignal) => Promise<T>, watched: AbortSignal | undefined = caller): Promise<T> {
  watched?.throwIfAborted();
  const controller = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, timeoutMs);
  const abort = (): void => controller.abort(caller?.reason);
  caller?.addEventListener('abort', abort, { once: true });
  try {
    return await exchange(controller.signal);
  } catch (thrown) {
    watched?.throwIfAborted();
    if (thrown instanceof ApiError) throw thrown;
    if (isLate) throw new ApiError('timeout', `The server did not answer within ${timeoutMs} ms.`, { cause: thrown });
    throw new ApiError('unreachable', `The server cannot be reached (${whyOf(thrown)}). Check the url, and that the server runs.`, { cause: thrown });
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener('abort', abort);
  }
}

function whyOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown reason';
  const { cause } = thrown;
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
  return thrown.message;
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > ANSWER_BYTES) {
      await reader.cancel().catch(() => undefined);
      throw new ApiError('bad_response', `The answer has more than ${ANSWER_BYTES} bytes. Ask for less with limit.`, { status: response.status });
    }
    text += decoder.decode(value, { stream: true });
  }
}
