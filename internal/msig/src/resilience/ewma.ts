/** Mean of the latest values, exponentially weighted. */
export interface Ewma {
  /** null before the first value. */
  readonly value: () => number | null;
  /**
   * The same, fading while nothing is added: for a choice among several. Whoever looks bad is asked
   * less, and would look bad for ever if nobody looked again.
   */
  readonly faded: (nowMs: number) => number | null;
  readonly samples: () => number;
  /** Of the latest value; -Infinity before the first. */
  readonly atMs: () => number;
  readonly add: (value: number, nowMs: number) => void;
  readonly forget: () => void;
}

/** Under load, about the last ten values. */
const SHARE_MIN = 0.1;
/** With few requests, what is this old counts for a third. */
const MEMORY_MS = 30_000;

const FADE_MS = 10_000;

export function createEwma(): Ewma {
  let mean: number | null = null;
  let samples = 0;
  let atMs = Number.NEGATIVE_INFINITY;
  return {
    value: () => mean,
    faded: (nowMs) => (mean === null ? null : mean * Math.exp(Math.min(0, (atMs - nowMs) / FADE_MS))),
    samples: () => samples,
    atMs: () => atMs,
    add: (value, nowMs) => {
      const share = Math.max(SHARE_MIN, 1 - Math.exp((atMs - nowMs) / MEMORY_MS));
      mean = mean === null ? value : mean + share * (value - mean);
      samples += 1;
      atMs = nowMs;
    },
    forget: () => {
      mean = null;
      samples = 0;
      atMs = Number.NEGATIVE_INFINITY;
    },
  };
}
