import type { ErrorCode } from '@openeaap/kernel';

/** The server's codes, and what can go wrong before it answers. */
export type ApiErrorCode =
  | ErrorCode
  /** No answer: the network, the address, or a server that is not there. */
  | 'unreachable'
  /** No answer in time. */
  | 'timeout'
  /** An answer that is none of OpenEAAP's. */
  | 'bad_response';

/** The one error of the client. Branch on `code`; `message` is for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ApiErrorCode;
  /** HTTP status; null: there was no answer. */
  readonly status: number | null;
  /** The field of the request that is wrong. */
  readonly field: string | null;
  /** What to do about it. */
  readonly cure: string | null;
  /** Finds the request in the server's log and traces. */
  readonly traceId: string | null;
  /** The server asked to wait so long before another try. */
  readonly retryAfterMs: number | null;
  /** The whole problem document (RFC 9457): more members by code. */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(code: ApiErrorCode, message: string, options: { readonly status?: number; readonly problem?: Readonly<Record<string, unknown>>; readonly retryAfterMs?: number | null; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const { problem = {} } = options;
    this.code = code;
    this.status = options.status ?? null;
    this.problem = problem;
    this.field = textAt(problem, 'field');
    this.cure = textAt(problem, 'cure');
    this.traceId = textAt(problem, 'trace_id');
    this.retryAfterMs = options.retryAfterMs ?? null;
  }

  /** Another try of the same request may succeed. */
  get retryable(): boolean {
    return this.code === 'unreachable' || this.code === 'timeout' || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** An answer that is not 2xx as an error. */
export function toApiError(response: Response, body: string): ApiError {
  const { status } = response;
  const problem = parseObject(body);
  const code = textAt(problem, 'code');
  const retryAfterMs = secondsIn(response.headers.get('retry-after'));
  if (code === null) {
    // A proxy's own pages: what they say is not ours to show.
    return new ApiError('bad_response', `The server answered HTTP ${status} without saying why. Is this the address of an OpenEAAP server?`, { status, retryAfterMs });
  }
  return new ApiError(code as ApiErrorCode, textAt(problem, 'detail') ?? textAt(problem, 'title') ?? code, { status, problem, retryAfterMs });
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function textAt(problem: Readonly<Record<string, unknown>>, key: string): string | null {
  const value = problem[key];
  return typeof value === 'string' ? value : null;
}

function secondsIn(header: string | null): number | null {
  const seconds = Number(header ?? '');
  return header !== null && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
}
