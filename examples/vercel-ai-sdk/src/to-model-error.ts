import { ModelUnavailable, PlatformError } from '@openeaap/sdk';
import { APICallError } from 'ai';

const TIMEOUT = 408;
const TOO_MANY = 429;
const SERVER_ERRORS = 500;

/** What the AI SDK says of a model that did not answer, as what the platform does about it: try again, or give up. */
export function toModelError(error: unknown): unknown {
  if (error instanceof Error && error.name === 'AbortError') return error;
  if (!APICallError.isInstance(error)) return new ModelUnavailable(`The answer of the model broke off: ${messageOf(error)}`, { cause: error });
  const { statusCode } = error;
  if (statusCode === undefined) return new ModelUnavailable('The model gateway cannot be reached.', { cause: error });
  const message = `The model gateway answered ${statusCode}: ${error.message}`;
  const mayComeBack = statusCode === TIMEOUT || statusCode === TOO_MANY || statusCode >= SERVER_ERRORS;
  return mayComeBack ? new ModelUnavailable(message, { cause: error }) : new PlatformError('model_rejected', message, { cause: error });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
