/**
 * The one error class of the platform and its closed set of codes.
 *
 * Whether a caller may try again follows from the code alone. `message` is safe to show to
 * a user; whatever is not safe (a peer's answer, a stack, a secret) stays in `cause`.
 * Expected outcomes (a denial, a conflict, a cache miss) are return values, not errors.
 */
export const ERROR_CODES = {
  /** The request breaks a rule of its schema; `details.field` names where, the message says the cure. */
  invalid_input: { retryable: false },
  payload_too_large: { retryable: false },
  unauthenticated: { retryable: false },
  permission_denied: { retryable: false },
  not_found: { retryable: false },
  /** It was there and was archived; `details` says when. */
  gone: { retryable: false },
  /** The thing is not in a state that allows this. */
  conflict: { retryable: false },
  /** The idempotency key was used before with another body (R1). */
  idempotency_mismatch: { retryable: false },
  /** Somebody decided first; `details` says who and when (R6). */
  already_decided: { retryable: false },
  /** The decision names another call than the one that waits (R6). */
  hash_mismatch: { retryable: false },
  /** The PDP said no; `details.rule` names the rule. */
  policy_denied: { retryable: false },
  /** A person said no to this call. */
  approval_rejected: { retryable: false },
  /** Nobody decided in time; it can be asked for again. */
  approval_expired: { retryable: true },
  /** A policy file cannot be used; the message gives line, column and cure. */
  policy_invalid: { retryable: false },
  quota_exceeded: { retryable: true },
  /** No model answered in time, or its circuit is open (R11). */
  model_unavailable: { retryable: true },
  /** The model answered, but not with anything that can be used. */
  model_invalid_output: { retryable: false },
  /** The model server refused the request itself (HTTP 4xx other than 429). */
  model_rejected: { retryable: false },
  tool_failed: { retryable: false },
  tool_timeout: { retryable: false },
  tool_unavailable: { retryable: true },
  step_budget_exceeded: { retryable: false },
  cancelled: { retryable: false },
  /** This node no longer owns the run; it must write nothing more (R2). */
  fenced: { retryable: false },
  /** The store, or another part that the request needs, is out of reach. */
  unavailable: { retryable: true },
  /** This installation lacks the part that the request needs. */
  unsupported: { retryable: false },
  internal: { retryable: false },
} as const satisfies Record<string, { readonly retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Details are plain JSON and safe to show: no secrets, no live objects. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export class PlatformError extends Error {
  override readonly name = 'PlatformError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

/** Turns anything that was thrown into a PlatformError. The only place that does. */
export function toPlatformError(thrown: unknown, fallback: ErrorCode = 'internal'): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new PlatformError('cancelled', 'The operation was cancelled.', { cause: thrown });
  }
  const message = fallback === 'internal' ? 'Something unexpected happened inside the platform.' : `The operation failed (${fallback}).`;
  return new PlatformError(fallback, message, { cause: thrown });
}

export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_CODES, value);
}
