import type { ErrorCode, ErrorDetails } from '@openeaap/kernel';
import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

/** HTTP status of each code. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_input: 400,
  payload_too_large: 413,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  gone: 410,
  conflict: 409,
  idempotency_mismatch: 409,
  already_decided: 409,
  hash_mismatch: 409,
  approval_rejected: 409,
  approval_expired: 409,
  policy_denied: 403,
  policy_invalid: 422,
  quota_exceeded: 429,
  model_unavailable: 503,
  model_invalid_output: 502,
  model_rejected: 502,
  tool_failed: 502,
  tool_timeout: 504,
  tool_unavailable: 503,
  step_budget_exceeded: 409,
  cancelled: 409,
  fenced: 503,
  unavailable: 503,
  unsupported: 501,
  internal: 500,
};

const TITLES: Readonly<Record<ErrorCode, string>> = {
  invalid_input: 'The request is not valid',
  payload_too_large: 'The request is too large',
  unauthenticated: 'Not authenticated',
  permission_denied: 'Not allowed',
  not_found: 'Not found',
  gone: 'No longer here',
  conflict: 'Not possible in this state',
  idempotency_mismatch: 'The idempotency key was used for another request',
  already_decided: 'Already decided',
  hash_mismatch: 'The decision names another call',
  approval_rejected: 'Rejected by an approver',
  approval_expired: 'Nobody decided in time',
  policy_denied: 'Denied by policy',
  policy_invalid: 'The policy cannot be used',
  quota_exceeded: 'Quota used up',
  model_unavailable: 'No model is available',
  model_invalid_output: 'The model gave no usable output',
  model_rejected: 'The model server refused the request',
  tool_failed: 'The tool failed',
  tool_timeout: 'The tool did not answer in time',
  tool_unavailable: 'The tool is not available',
  step_budget_exceeded: 'The run used up its steps',
  cancelled: 'Cancelled',
  fenced: 'Another node has taken over',
  unavailable: 'Not available at the moment',
  unsupported: 'Not supported by this installation',
  internal: 'Internal error',
};

/** Seconds after which to try again when nobody knows better. */
const RETRY_AFTER_S = 1;

/** An error on its way out. */
export interface Refusal {
  readonly error: PlatformError;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The body of an error answer (RFC 9457) with our own `code`, `trace_id` and details. */
export function toProblem(refusal: Refusal, request: { readonly path: string; readonly traceId: string }): Readonly<Record<string, unknown>> {
  const { error, status } = refusal;
  return {
    ...toPublicDetails(error.details),
    type: `urn:openeaap:error:${error.code}`,
    title: TITLES[error.code],
    status,
    code: error.code,
    detail: error.message,
    instance: request.path,
    trace_id: request.traceId,
  };
}

/** snake_case; a detail `status` (of an approval, a run) gives way to the HTTP status that RFC 9457 puts there. */
function toPublicDetails(details: ErrorDetails): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [key === 'status' ? 'current_status' : key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );
}

/** Answers with anything that was thrown. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendRefusal(toRefusal(thrown), request, reply);
}

/** The only place where an error becomes an answer: logged once, without its cause or stack in the answer. */
export function sendRefusal(refusal: Refusal, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { error, status, headers } = refusal;
  if (status >= 500) request.log.error({ err: error, code: error.code }, 'request failed');
  // Not the message: it repeats what the caller sent, which may be personal.
  else request.log.info({ code: error.code, method: request.method, route: request.routeOptions.url }, 'request refused');
  const body = JSON.stringify(toProblem(refusal, { path: pathOf(request), traceId: request.id }));
  return reply.code(status).headers(headers).type('application/problem+json').send(body);
}

export const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '/';

export function toRefusal(thrown: unknown): Refusal {
  if (thrown instanceof PlatformError) return { error: thrown, status: STATUS[thrown.code], headers: toHeaders(thrown) };
  const known = isFastifyError(thrown) ? fromFastify(thrown) : null;
  return known ?? toRefusal(toPlatformError(thrown));
}

function toHeaders(error: PlatformError): Readonly<Record<string, string>> {
  if (error.code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="openeaap"' };
  const seconds = error.details['retryAfterS'];
  if (typeof seconds === 'number') return { 'retry-after': String(Math.max(1, Math.ceil(seconds))) };
  return STATUS[error.code] === 503 ? { 'retry-after': String(RETRY_AFTER_S) } : {};
}

const isFastifyError = (thrown: unknown): thrown is FastifyError =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' && thrown.code.startsWith('FST_');

/** What Fastify itself refuses before a handler is reached. */
function fromFastify(error: FastifyError): Refusal | null {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refuse('payload_too_large', 'The body is larger than this API takes.', 'Send less; large data belongs in the knowledge base or a tool.', error);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return { ...refuse('invalid_input', 'The body must be JSON.', 'Send the header Content-Type: application/json.', error), status: 415 };
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return refuse('invalid_input', 'The body is not as long as Content-Length says.', 'Let the HTTP client compute Content-Length.', error);
    case 'FST_ERR_BAD_URL':
      return refuse('invalid_input', 'The path is not a valid URL path.', 'Percent-encode each part of the path.', error);
    default:
      return error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
        ? refuse('invalid_input', 'The request cannot be read.', 'See /openapi.json for what this API takes.', error)
        : null;
  }
}

function refuse(code: ErrorCode, message: string, cure: string, cause: Error): Refusal {
  const error = new PlatformError(code, message, { details: { cure }, cause });
  return { error, status: STATUS[code], headers: {} };
}
