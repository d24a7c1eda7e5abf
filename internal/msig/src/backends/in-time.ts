import { PlatformError } from '@openeaap/kernel';
import type { Closing } from './closing.ts';

/** Everything that can end a call early: the caller, the clock, and the end of whoever makes it. */
export interface Bounds {
  /** Its reason is the error where it is a PlatformError; otherwise the call was `cancelled`. */
  readonly caller: AbortSignal;
  /** Aborts `caller`, where it is made for this call alone: then the call needs no signal of its own. */
  readonly abort?: ((reason: PlatformError) => void) | undefined;
  readonly closing: Closing;
  readonly timeoutMs: number;
  readonly timedOut: () => PlatformError;
  /** Told before anything that was waiting goes on, so that a bill can be settled at once. */
  readonly onStopped?: (reason: PlatformError) => void;
}

export async function inTime<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { caller, closing, timeoutMs } = bounds;
  const own = bounds.abort === undefined ? new AbortController() : null;
  const signal = own?.signal ?? caller;
  const stop = (reason: PlatformError): void => {
    if (signal.aborted) return;
    // Aborting the caller's signal comes back through `follow`.
    if (own === null) return bounds.abort?.(reason);
    own.abort(reason);
    bounds.onStopped?.(reason);
  };
  const follow = (): void => {
    const reason = caller.reason instanceof PlatformError ? caller.reason : new PlatformError('cancelled', 'The chat was cancelled.');
    if (own !== null) stop(reason);
    else bounds.onStopped?.(reason);
  };
  if (caller.aborted) follow();
  else caller.addEventListener('abort', follow, { once: true });
  closing.calls.add(stop);
  const ended = closing.reason();
  if (ended !== null) stop(ended);
  const timer = setTimeout(() => stop(bounds.timedOut()), timeoutMs);
  try {
    signal.throwIfAborted();
    return await work(signal);
  } catch (thrown) {
    // Whatever broke because of the abort is only its echo; the reason is the error.
    throw signal.aborted ? signal.reason : thrown;
  } finally {
    clearTimeout(timer);
    closing.calls.delete(stop);
    caller.removeEventListener('abort', follow);
  }
}
