import { ModelUnavailable, PlatformError } from '@openeaap/sdk';
import { APICallError } from 'ai';

const CLIENT_ERRORS = 400;
const TIMEOUT = 408;
const TOO_MANY = 429;
const SERVER_ERRORS = 500;

/** What the AI SDK says of a model that did not answer, as what the platform does about it: try again, or give up. */
export function toModelError(error: unknown): unknown {
  if (error instanceof Error && error.name === 'AbortError') return error;
  const statusCode = APICallError.isInstance(error) ? error.statusCode : null;
  if (statusCode === undefined) return new ModelUnavailable('The model gateway cannot be reached.', { cause: error });
  if (statusCode === null || statusCode < CLIENT_ERRORS) return new ModelUnavailable(`The answer of the model broke off: ${messageOf(error)}`, { cause: error });
  const message = `The model gateway answered ${statusCode}: ${messageOf(error)}`;
  const mayComeBack = statusCode === TIMEOUT || statusCode === TOO_MANY || statusCode >= SERVER_ERRORS;
  return mayComeBack ? new ModelUnavailable(message, { cause: error }) : new PlatformError('model_rejected', message, { cause: error });
}

/** An error in the middle of a stream is what the server sent, and no Error. */
function messageOf(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return typeof message === 'string' ? message : 'no message.';
}
