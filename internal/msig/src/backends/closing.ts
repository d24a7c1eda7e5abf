import type { PlatformError } from '@openeaap/kernel';

/**
 * The end of whoever makes calls, told to all that are under way. Not an AbortSignal: every call
 * would put a listener on it and take it off again, which costs more than the rest of its clock.
 */
export interface Closing {
  /** null: not yet. */
  readonly reason: () => PlatformError | null;
  /** Calls that are to be stopped; each takes itself out again. */
  readonly calls: Set<(reason: PlatformError) => void>;
  readonly close: (reason: PlatformError) => void;
}

export function createClosing(): Closing {
  const calls = new Set<(reason: PlatformError) => void>();
  let reason: PlatformError | null = null;
  return {
    reason: () => reason,
    calls,
    close: (why) => {
      reason ??= why;
      for (const stop of calls) stop(reason);
    },
  };
}
