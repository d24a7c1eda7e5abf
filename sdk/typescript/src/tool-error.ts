import { NOTHING_CHANGED } from '@openeaap/adapter';
import type { ErrorCode } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';

/**
 * What a tool or an agent throws to say what went wrong. The message is shown to users and to the model, so it must
 * hold no secret. Anything else that is thrown is told as "broke off", and its own words stay in the plugin's log.
 */
export abstract class StepFailure extends Error {
  abstract readonly code: ErrorCode;
  readonly nothingChanged: boolean = false;
}

/** The call certainly failed and nothing was changed by it. It is not repeated; the agent is told. */
export class ToolError extends StepFailure {
  override readonly name = 'ToolError';
  readonly code = 'tool_failed';
}

/** What the tool needs cannot be reached. */
export class ToolUnavailable extends StepFailure {
  override readonly name = 'ToolUnavailable';
  readonly code = 'tool_unavailable';
  override readonly nothingChanged: boolean;

  /** With `nothingChanged` the call may be tried again whatever its effect; without it only if the tool reads or is idempotent. */
  constructor(message: string, options: { readonly nothingChanged?: boolean; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.nothingChanged = options.nothingChanged ?? false;
  }
}

/** No model answered: the think may be tried again. */
export class ModelUnavailable extends StepFailure {
  override readonly name = 'ModelUnavailable';
  readonly code = 'model_unavailable';
}

/** The model answered with nothing that can be used. The agent is shown this and asked again. */
export class ModelInvalidOutput extends StepFailure {
  override readonly name = 'ModelInvalidOutput';
  readonly code = 'model_invalid_output';
}

/** A constraint of the step forbids it. */
export class ConstraintViolated extends StepFailure {
  override readonly name = 'ConstraintViolated';
  readonly code = 'policy_denied';
}

/** What user code threw as an error of the platform. Known by its fields, not its class: two copies of this package may meet. */
export function toStepError(thrown: unknown, what: string): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  if (isStepFailure(thrown)) return new PlatformError(thrown.code, thrown.message, { cause: thrown.cause, details: thrown.nothingChanged ? { [NOTHING_CHANGED]: true } : {} });
  if (thrown instanceof Error && thrown.name === 'AbortError') return new PlatformError('cancelled', `${what} was stopped.`, { cause: thrown });
  return new PlatformError('internal', `${what} broke off unexpectedly. The log of the plugin says why.`, { cause: thrown });
}

const FAILURES: ReadonlySet<unknown> = new Set(['ToolError', 'ToolUnavailable', 'ModelUnavailable', 'ModelInvalidOutput', 'ConstraintViolated']);

function isStepFailure(thrown: unknown): thrown is StepFailure {
  return thrown instanceof Error && FAILURES.has(thrown.name) && 'code' in thrown && typeof thrown.code === 'string';
}
