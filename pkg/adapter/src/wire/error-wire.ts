import type { ErrorCode, StepError } from '@openeaap/kernel';
import { ERROR_CODES, PlatformError, toPlatformError } from '@openeaap/kernel';
import { ExecuteStepResponse, ErrorCode as WireCode } from '@openeaap/proto';
import type { StepError as WireError } from '@openeaap/proto';
import { textFromWire } from './json-wire.ts';
import { WIRE_LIMITS } from './wire-limits.ts';

/** What a step may be: the codes mean slightly different things to the two. */
export type WireKind = 'think' | 'tool';

/**
 * Set in the details of an error of a tool that has certainly changed nothing and may be tried again:
 * `retryable` on the wire. The code alone cannot say it: `tool_unavailable` leaves the effect open.
 */
export const NOTHING_CHANGED = 'nothing_changed';

/** The error of a response as ours. Anything that is not known to be harmless is `internal`: the effect is open. */
export function errorFromWire(error: WireError, kind: WireKind): PlatformError {
  const message = textFromWire(error.message, WIRE_LIMITS.errorMessageChars).trim();
  const code = codeFromWire(error, kind);
  return new PlatformError(code, message === '' ? `The plugin gave no reason (${code}).` : message, error.retryable ? { details: { [NOTHING_CHANGED]: true } } : {});
}

function codeFromWire(error: WireError, kind: WireKind): ErrorCode {
  if (kind === 'tool' && error.retryable) return 'tool_unavailable';
  switch (error.code) {
    case WireCode.ERROR_CODE_INVALID_INPUT:
      return 'invalid_input';
    case WireCode.ERROR_CODE_TOOL_FAILED:
      return 'tool_failed';
    case WireCode.ERROR_CODE_TOOL_UNAVAILABLE:
      return 'tool_unavailable';
    // A tool whose own model fails has not said whether it had its effect; only TOOL_FAILED says that.
    case WireCode.ERROR_CODE_MODEL_UNAVAILABLE:
      return kind === 'think' ? 'model_unavailable' : 'internal';
    case WireCode.ERROR_CODE_MODEL_INVALID_OUTPUT:
      return kind === 'think' ? 'model_invalid_output' : 'internal';
    case WireCode.ERROR_CODE_MODEL_REJECTED:
      return kind === 'think' ? 'model_rejected' : 'internal';
    case WireCode.ERROR_CODE_CANCELLED:
      return 'cancelled';
    case WireCode.ERROR_CODE_CONSTRAINT_VIOLATED:
      return 'policy_denied';
    case WireCode.ERROR_CODE_OVERLOADED:
      return 'unavailable';
    default:
      return error.retryable ? 'unavailable' : 'internal';
  }
}

/** Anything that a step threw as the answer. What is no PlatformError has a message for logs only, and stays here. */
export function errorToWire(thrown: unknown, kind: WireKind): ExecuteStepResponse {
  const error = toPlatformError(thrown);
  const retryable = kind === 'tool' ? error.details[NOTHING_CHANGED] === true : error.retryable;
  return ExecuteStepResponse.fromPartial({ error: { code: codeToWire(error.code, kind), message: textFromWire(error.message, WIRE_LIMITS.errorMessageChars), retryable } });
}

/** The error of an earlier think, as the journal tells it. */
export function stepErrorToWire(error: StepError): WireError {
  return { code: codeToWire(error.code, 'think'), message: error.message, retryable: ERROR_CODES[error.code].retryable };
}

export function stepErrorFromWire(error: WireError): StepError {
  return { code: codeFromWire(error, 'think'), message: error.message };
}

function codeToWire(code: ErrorCode, kind: WireKind): WireCode {
  switch (code) {
    case 'invalid_input':
    case 'not_found':
    case 'payload_too_large':
    case 'unsupported':
      return WireCode.ERROR_CODE_INVALID_INPUT;
    case 'tool_failed':
      return WireCode.ERROR_CODE_TOOL_FAILED;
    case 'tool_unavailable':
      return WireCode.ERROR_CODE_TOOL_UNAVAILABLE;
    case 'unavailable':
      return kind === 'tool' ? WireCode.ERROR_CODE_TOOL_UNAVAILABLE : WireCode.ERROR_CODE_INTERNAL;
    case 'model_unavailable':
      return WireCode.ERROR_CODE_MODEL_UNAVAILABLE;
    case 'model_invalid_output':
      return WireCode.ERROR_CODE_MODEL_INVALID_OUTPUT;
    case 'model_rejected':
      return WireCode.ERROR_CODE_MODEL_REJECTED;
    case 'cancelled':
      return WireCode.ERROR_CODE_CANCELLED;
    case 'policy_denied':
    case 'permission_denied':
      return WireCode.ERROR_CODE_CONSTRAINT_VIOLATED;
    default:
      return WireCode.ERROR_CODE_INTERNAL;
  }
}
