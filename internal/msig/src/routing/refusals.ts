import { PlatformError } from '@openeaap/kernel';

const RETRY_AFTER_MIN_MS = 100;
const RETRY_AFTER_MAX_MS = 60_000;
/** Until it is known how fast places become free. */
const RETRY_AFTER_FIRST_MS = 1_000;

/** Why a backend's servers are not even asked: all `model_unavailable`, with the reason and when to come again. */
export function closedRefusal(backend: string, { why, readyInMs }: { readonly why: string; readonly readyInMs: number }): PlatformError {
  const cause = why === '' ? '' : ` The latest failure: ${why}`;
  return refusal(backend, 'breaker_open', { message: `No server of the model backend "${backend}" may be asked at the moment.${cause}`, retryAfterMs: readyInMs });
}

export function fullRefusal(backend: string, { maxQueue, drainMs }: { readonly maxQueue: number; readonly drainMs: number | null }): PlatformError {
  return refusal(backend, 'queue_full', {
    message: `The model backend "${backend}" has as many requests as it can take, and ${maxQueue} wait. Try again later, or give it more max_queue, max_concurrent or servers.`,
    retryAfterMs: drainMs ?? RETRY_AFTER_FIRST_MS,
  });
}

export function timeoutRefusal(backend: string, { waitedMs, drainMs }: { readonly waitedMs: number; readonly drainMs: number | null }): PlatformError {
  return refusal(backend, 'queue_timeout', { message: `No server of the model backend "${backend}" became free within ${Math.round(waitedMs)} ms.`, retryAfterMs: drainMs ?? RETRY_AFTER_FIRST_MS });
}

export function closingRefusal(backend: string): PlatformError {
  return refusal(backend, 'closing', { message: 'The model gateway is shutting down.', retryAfterMs: null });
}

function refusal(backend: string, reason: 'breaker_open' | 'queue_full' | 'queue_timeout' | 'closing', { message, retryAfterMs }: { readonly message: string; readonly retryAfterMs: number | null }): PlatformError {
  const when = retryAfterMs === null ? {} : { retry_after_ms: Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, Math.ceil(retryAfterMs))) };
  return new PlatformError('model_unavailable', message, { details: { backend, reason, ...when } });
}
