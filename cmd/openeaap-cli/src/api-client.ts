import type { JsonValue } from '@openeaap/kernel';
import { CliError, fromProblem, usageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import type { Connection } from './config.ts';

/** Waits and sizes of one request. */
export const REQUEST_LIMITS = {
  timeoutMs: 30_000,
  /** Verifying a long audit chain reads all of it. */
  longTimeoutMs: 600_000,
  /** More than any page of the API can be. */
  responseBytes: 67_108_864,
} as const;

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Made by `route`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: JsonValue;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the whole reply is read; for `open`, until its headers are. */
  readonly timeoutMs?: number;
}

export interface ApiReply {
  readonly status: number;
  readonly body: JsonValue;
}

export interface ApiClient {
  readonly connection: Connection;
  /** @throws CliError for every answer that is not 2xx JSON, and when there is none. */
  readonly request: (request: ApiRequest) => Promise<ApiReply>;
  /** A 2xx response whose body the caller reads. */
  readonly open: (request: ApiRequest) => Promise<Response>;
}

/** A path under `/api/v1/` from its segments, each encoded. */
export function route(...segments: readonly string[]): string {
  for (const segment of segments) {
    // An empty or dot segment would name another resource than the one meant.
    if (segment === '' || segment === '.' || segment === '..') throw usageError(`"${segment}" is not an id or a name.`);
  }
  return `api/v1/${segments.map(encodeURIComponent).join('/')}`;
}

export function createApiClient(connection: Connection, io: Pick<CliIo, 'fetch' | 'signal' | 'version'>): ApiClient {
  const open = async (request: ApiRequest, signal: AbortSignal): Promise<Response> => {
    const response = await send(connection, io, request, signal);
    if (response.ok) return response;
    if (response.status >= 300 && response.status < 400) {
      throw new CliError('bad_response', `${connection.url.href} redirects to ${response.headers.get('location') ?? 'nowhere'}.`, { cure: 'Give the final address with --url.' });
    }
    throw fromProblem(response.status, parseJson(await readText(response)) ?? null);
  };
  return {
    connection,
    open: async (request) => {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(new DOMException('timeout', 'TimeoutError')), request.timeoutMs ?? REQUEST_LIMITS.timeoutMs);
      try {
        return await asCliError(connection, io.signal, () => open(request, AbortSignal.any([io.signal, late.signal])));
      } finally {
        clearTimeout(timer);
      }
    },
    request: (request) =>
      asCliError(connection, io.signal, async () => {
        const response = await open(request, AbortSignal.any([io.signal, AbortSignal.timeout(request.timeoutMs ?? REQUEST_LIMITS.timeoutMs)]));
        const body = parseJson(await readText(response));
        if (body === undefined) {
          throw new CliError('bad_response', `${connection.url.href} answered HTTP ${response.status} with something that is not JSON.`, { cure: 'Is this the address of an OpenEAAP server?' });
        }
        return { status: response.status, body };
      }),
  };
}

function send(connection: Connection, io: Pick<CliIo, 'fetch' | 'version'>, request: ApiRequest, signal: AbortSignal): Promise<Response> {
  const url = new URL(request.path, connection.url);
  for (const [name, value] of Object.entries(request.query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
  return io.fetch(url, {
    method: request.method ?? 'GET',
    // The key must not follow a redirect to somewhere else.
    redirect: 'manual',
    signal,
    headers: {
      accept: 'application/json',
      'user-agent': `openeaap-cli/${io.version}`,
      ...(connection.apiKey === null ? {} : { authorization: `Bearer ${connection.apiKey}` }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
}

/** Runs one exchange; what goes wrong below HTTP says what was tried and the cure. */
export async function asCliError<T>(connection: Connection, interrupted: AbortSignal, exchange: () => Promise<T>): Promise<T> {
  try {
    return await exchange();
  } catch (thrown) {
    if (thrown instanceof CliError) throw thrown;
    if (interrupted.aborted) throw new CliError('interrupted', 'Interrupted.', { cause: thrown });
    const why = whyNoAnswer(thrown);
    throw new CliError('unreachable', `No answer from ${connection.url.href} (${why}). The address came from ${connection.source}.`, {
      cure: 'Start the server with "openeaap dev", or name the right one with --url. "openeaap doctor" looks closer.',
      cause: thrown,
    });
  }
}

function whyNoAnswer(thrown: unknown): string {
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError') return 'timed out';
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause;
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
  return thrown.message;
}

/** The body as text. @throws CliError `bad_response` above the limit. */
export async function readText(response: Response, limitBytes: number = REQUEST_LIMITS.responseBytes): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > limitBytes) throw new CliError('bad_response', `The server's answer is longer than ${limitBytes} bytes.`, { cure: 'Ask for less with --limit.' });
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** undefined: not JSON. */
function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
