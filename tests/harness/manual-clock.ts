import type { Clock } from '@openeaap/kernel';

/** Time that only the test moves. */
export interface ManualClock extends Clock {
  readonly nowMs: () => number;
  /** Moves time on and wakes the sleepers whose time has come. */
  readonly advance: (ms: number) => void;
  /** Resolves when exactly `sleepers` are asleep: whoever was awake has done what there was to do. */
  readonly asleep: (sleepers: number) => Promise<void>;
}

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

export function createManualClock(start: string): ManualClock {
  let nowMs = Date.parse(start);
  const sleepers = new Set<Sleeper>();
  let changed: (() => void)[] = [];
  const tell = (): void => {
    const told = changed;
    changed = [];
    for (const look of told) look();
  };
  return {
    now: () => new Date(nowMs),
    nowMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const wake = (): void => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        const sleeper = { untilMs: nowMs + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', wake, { once: true });
        tell();
      }),
    advance: (ms) => {
      nowMs += ms;
      for (const sleeper of sleepers) if (sleeper.untilMs <= nowMs) sleeper.wake();
    },
    asleep: async (count) => {
      while (sleepers.size !== count) await new Promise<void>((resolve) => changed.push(resolve));
    },
  };
}
