import { PlatformError } from '@openeaap/kernel';
import type { Closing } from './closing.ts';

/** Everything that can end a call early: the caller, the clock, and the end of whoever makes it. */
export interface Bounds {
  /** Its reason is the error where it is a PlatformError; otherwise the call was `cancelled`. */
  readonly caller: AbortSignal;
  readonly closing: Closing;
  readonly timeoutMs: number;
  readonly timedOut: () => PlatformError;
  /** Told before anything that was waiting goes on, so that a bill can be settled at once. */
  readonly onStopped?: (reason: PlatformError) => void;
}

export async function inTime<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { caller, closing, timeoutMs } = bounds;
  // Of its own, not the caller's: whoever works under it hears of the end, and tells what was used, before `onStopped` settles the bill.
  const call = new AbortController();
  const { signal } = call;
  const stop = (reason: PlatformError): void => {
    if (signal.aborted) return;
    call.abort(reason);
    bounds.onStopped?.(reason);
  };
  const follow = (): void => stop(caller.reason instanceof PlatformError ? caller.reason : new PlatformError('cancelled', 'The chat was cancelled.'));
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
