import { toPlatformError } from '@openeaap/kernel';
import type { ErrorDetails, PlatformError } from '@openeaap/kernel';

/** An error in the words of the OpenAI API. */
export interface OpenAiError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

/** Clients of OpenAI repeat a request by themselves, unless they are told that it is of no use. */
const NO_RETRY = { 'x-should-retry': 'false' } as const;
/** When nobody knows better. */
const RETRY_AFTER_MS = 1_000;
const MESSAGE_CHARS = 1_000;

/** Anything that was thrown, as an answer. Never the cause: only what was marked as safe goes out. */
export function toOpenAiError(thrown: unknown): OpenAiError {
  const error = fromPlatform(toPlatformError(thrown));
  return { ...error, error: { ...error.error, message: error.error.message.slice(0, MESSAGE_CHARS) } };
}

function fromPlatform(error: PlatformError): OpenAiError {
  const { message, details } = error;
  switch (error.code) {
    case 'invalid_input':
      return refuse(400, { message, param: textOf(details, 'field'), code: textOf(details, 'reason') });
    case 'payload_too_large':
      return refuse(413, { message, code: 'request_too_large' });
    case 'unauthenticated':
      return refuse(401, { message, code: 'invalid_api_key' });
    case 'permission_denied':
    case 'policy_denied':
      return refuse(403, { message, code: error.code });
    case 'not_found':
      return textOf(details, 'reason') === 'unknown_url' ? refuse(404, { message, code: 'unknown_url' }) : refuse(404, { message, param: 'model', code: 'model_not_found' });
    case 'unsupported':
      return textOf(details, 'reason') === 'content_type' ? refuse(415, { message, code: 'invalid_content_type' }) : refuse(400, { message, param: textOf(details, 'field'), code: 'unsupported' });
    case 'quota_exceeded':
      return details['reason'] === 'rate_limited' ? overLimit(message, details) : spent(message);
    case 'model_rejected':
      return fromRejection(error);
    case 'model_invalid_output':
      return fail(502, message, error.code);
    case 'model_unavailable':
      return fromUnavailable(error);
    case 'unavailable':
      return { ...fail(503, message, error.code), headers: retryAfter(RETRY_AFTER_MS) };
    case 'cancelled':
      return fail(499, message, error.code);
    default:
      return fail(500, 'Something unexpected happened inside the gateway.', 'internal');
  }
}

/** The model server refused: the client's own mistake where it said so, ours where a key or an address is wrong. */
function fromRejection({ message, details, code }: PlatformError): OpenAiError {
  const said = textOf(details, 'upstream_message');
  const status = details['status'];
  if (status === 429) return spent(message);
  if (said === null || typeof status !== 'number') return fail(502, message, code);
  return refuse(status, { message: said, code: textOf(details, 'upstream_code'), param: textOf(details, 'upstream_param') });
}

function fromUnavailable({ message, details, code }: PlatformError): OpenAiError {
  const { status, reason } = details;
  // The cases in which a later try of the client makes sense: a server, or this gateway, only wants to be asked more slowly.
  if (status === 429 || reason === 'queue_full' || reason === 'queue_timeout') return slowDown(message, details);
  if (reason === 'timeout') return fail(504, message, code);
  if (reason === 'closing') return { ...fail(503, message, code), headers: retryAfter(RETRY_AFTER_MS) };
  if (typeof status === 'number' && status !== 503) return fail(502, message, code);
  return { ...fail(503, message, code), headers: { ...NO_RETRY, ...retryAfter(waitOf(details)) } };
}

/** Without a time to wait it can never fit: another try is of no use. */
function overLimit(message: string, details: ErrorDetails): OpenAiError {
  const answer = slowDown(message, details);
  return typeof details['retry_after_ms'] === 'number' ? answer : { ...answer, headers: NO_RETRY };
}

function slowDown(message: string, details: ErrorDetails): OpenAiError {
  return { status: 429, headers: retryAfter(waitOf(details)), error: { message, type: 'rate_limit_exceeded', param: null, code: 'rate_limit_exceeded' } };
}

function waitOf(details: ErrorDetails): number {
  const waitMs = details['retry_after_ms'];
  return typeof waitMs === 'number' ? waitMs : RETRY_AFTER_MS;
}

function refuse(status: number, { message, param = null, code }: { readonly message: string; readonly param?: string | null; readonly code: string | null }): OpenAiError {
  return { status, headers: {}, error: { message, type: 'invalid_request_error', param, code } };
}

/** Waiting does not help: the words for it that clients know. */
function spent(message: string): OpenAiError {
  return { status: 429, headers: NO_RETRY, error: { message, type: 'insufficient_quota', param: null, code: 'insufficient_quota' } };
}

/** The gateway has made its own tries before it says so; more of them would only multiply. */
function fail(status: number, message: string, code: string): OpenAiError {
  return { status, headers: NO_RETRY, error: { message, type: 'server_error', param: null, code } };
}

function retryAfter(ms: number): Readonly<Record<string, string>> {
  return { 'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))), 'retry-after-ms': String(Math.ceil(ms)) };
}

function textOf(details: ErrorDetails, key: string): string | null {
  const value = details[key];
  return typeof value === 'string' && value !== '' ? value : null;
}
