import { PlatformError } from '@openeaap/kernel';
import { linkAbort } from './link-abort.ts';

/** Everything that can end a call early: the caller, the clock, and the end of whoever makes it. */
export interface Bounds {
  /** Its reason is the error where it is a PlatformError; otherwise the call was `cancelled`. */
  readonly caller: AbortSignal;
  /** Its reason is a PlatformError. */
  readonly closing: AbortSignal;
  readonly timeoutMs: number;
  readonly timedOut: () => PlatformError;
  /** Told before anything that was waiting goes on, so that a bill can be settled at once. */
  readonly onStopped?: (reason: PlatformError) => void;
}

export async function inTime<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { caller, timeoutMs } = bounds;
  const call = linkAbort(bounds.closing);
  const stop = (reason: PlatformError): void => {
    if (call.signal.aborted) return;
    call.abort(reason);
    bounds.onStopped?.(reason);
  };
  const follow = (): void => stop(caller.reason instanceof PlatformError ? caller.reason : new PlatformError('cancelled', 'The chat was cancelled.'));
  if (caller.aborted) follow();
  else caller.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => stop(bounds.timedOut()), timeoutMs);
  try {
    call.signal.throwIfAborted();
    return await work(call.signal);
  } catch (thrown) {
    // Whatever broke because of the abort is only its echo; the reason is the error.
    throw call.signal.aborted ? call.signal.reason : thrown;
  } finally {
    clearTimeout(timer);
    caller.removeEventListener('abort', follow);
    call.unlink();
  }
}
