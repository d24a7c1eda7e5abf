import type { SetTimer } from '../set-timer.ts';

/** A clock that only the test moves, and the timers that it rings on its way. */
export interface ManualTime {
  /** Milliseconds. */
  readonly now: () => number;
  readonly setTimer: SetTimer;
  /** Rings what is due, in order, and lets what waits for it go on. */
  readonly pass: (ms: number) => Promise<void>;
  /** Timers that have not rung and were not taken back. */
  readonly pending: () => number;
}

export function createManualTime(startMs = 1_000_000): ManualTime {
  let nowMs = startMs;
  let lastId = 0;
  const timers = new Map<number, { readonly atMs: number; readonly call: () => void }>();
  const earliest = (untilMs: number) => {
    let first: readonly [number, { readonly atMs: number; readonly call: () => void }] | null = null;
    for (const timer of timers) if (timer[1].atMs <= untilMs && (first === null || timer[1].atMs < first[1].atMs)) first = timer;
    return first;
  };
  return {
    now: () => nowMs,
    setTimer: (call, ms) => {
      const id = (lastId += 1);
      timers.set(id, { atMs: nowMs + ms, call });
      return () => void timers.delete(id);
    },
    pass: async (ms) => {
      const untilMs = nowMs + ms;
      for (let next = earliest(untilMs); next !== null; next = earliest(untilMs)) {
        const [id, { atMs, call }] = next;
        timers.delete(id);
        nowMs = Math.max(nowMs, atMs);
        call();
        await settled();
      }
      nowMs = untilMs;
      await settled();
    },
    pending: () => timers.size,
  };
}

/** Lets everything that is ready go on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Mulberry32: the same numbers, 0 up to 1, for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let hash = Math.imul(state ^ (state >>> 15), state | 1);
    hash = (hash + Math.imul(hash ^ (hash >>> 7), hash | 61)) ^ hash;
    return ((hash ^ (hash >>> 14)) >>> 0) / 2 ** 32;
  };
}
