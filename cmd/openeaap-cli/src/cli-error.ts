import { PlatformError, isErrorCode, isJsonObject } from '@openeaap/kernel';
import type { ErrorCode, JsonObject, JsonValue } from '@openeaap/kernel';
import type { CliErrorCode } from './exit-code.ts';

/** What ends a command early. `message` is for people, `cure` is what they can do about it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;
  readonly cure: string | null;
  /** What the server said besides: field, trace_id, decided_by … */
  readonly details: JsonObject;

  constructor(code: CliErrorCode, message: string, options: { readonly cure?: string; readonly details?: JsonObject; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.cure = options.cure ?? null;
    this.details = options.details ?? {};
  }
}

export const usageError = (message: string, cure?: string): CliError =>
  new CliError('usage', message, cure === undefined ? {} : { cure });

/** Turns whatever was thrown into a CliError. The only place that does. */
export function toCliError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof PlatformError) return new CliError(thrown.code, thrown.message, { details: thrown.details, cause: thrown });
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CliError('internal', `Something unexpected happened in the command line: ${message}`, { cause: thrown });
}

const STANDARD_FIELDS: ReadonlySet<string> = new Set(['type', 'title', 'status', 'code', 'detail', 'instance', 'cure']);

/** An `application/problem+json` body, or whatever came in its place, as an error. `body` is null when it was not JSON. */
export function fromProblem(httpStatus: number, body: JsonValue): CliError {
  const problem: JsonObject = isJsonObject(body) ? body : {};
  const code = typeof problem.code === 'string' && isErrorCode(problem.code) ? problem.code : codeOfStatus(httpStatus);
  const said = [problem.detail, problem.title].find((text) => typeof text === 'string' && text !== '');
  const extras = Object.fromEntries(Object.entries(problem).filter(([name]) => !STANDARD_FIELDS.has(name)));
  const cure = typeof problem.cure === 'string' ? problem.cure : cureOf(code, extras);
  return new CliError(code, decidedMessage(code, problem) ?? (typeof said === 'string' ? said : `The server answered HTTP ${httpStatus}.`), {
    ...(cure === null ? {} : { cure }),
    details: { http_status: httpStatus, ...extras },
  });
}

/** A proxy in between answers without a code of ours. */
function codeOfStatus(status: number): ErrorCode | 'bad_response' {
  if (status === 400) return 'invalid_input';
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'permission_denied';
  if (status === 404) return 'not_found';
  if (status === 409) return 'conflict';
  if (status === 413) return 'payload_too_large';
  if (status === 429) return 'quota_exceeded';
  return status >= 502 && status <= 504 ? 'unavailable' : 'bad_response';
}

function decidedMessage(code: CliErrorCode, problem: JsonObject): string | null {
  if (code !== 'already_decided' || typeof problem.decided_by !== 'string') return null;
  // `status` of a problem is the HTTP status, so the approval's has another name.
  const status = typeof problem.current_status === 'string' ? problem.current_status : 'decided';
  const at = typeof problem.decided_at === 'string' ? ` at ${problem.decided_at}` : '';
  return `Somebody decided first: ${status} by ${problem.decided_by}${at}. Nothing was changed.`;
}

function cureOf(code: CliErrorCode, extras: JsonObject): string | null {
  if (code === 'unauthenticated') return 'Give a key by --api-key-file, OPENEAAP_API_KEY or --api-key.';
  if (code === 'hash_mismatch') return 'Look at the call again with "openeaap approval show" and decide anew.';
  if (code === 'idempotency_mismatch') return 'Use another --idempotency-key, or send the same input and user again.';
  if (code === 'permission_denied' && typeof extras.scope === 'string') return `Use a key that has the scope ${extras.scope}.`;
  return null;
}
