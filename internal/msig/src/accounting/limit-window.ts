/**
 * How a limit counts. A counter holds the sum of its current bucket and that of the bucket before,
 * in one row, so that no two nodes can ever disagree on where a bucket ends.
 *
 * - `minute` slides: of the minute before, that share still counts which lies in the last 60 s if
 *   it was spread evenly. Within a minute of the clock never more than the limit passes.
 * - `day` and `month` are those of the UTC clock; `total` never ends.
 */
export const LIMIT_WINDOWS = ['minute', 'day', 'month', 'total'] as const;
export type LimitWindow = (typeof LIMIT_WINDOWS)[number];

export const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface CounterState {
  /** Number of the bucket: of the minute or day since 1970, of the month since year 0. */
  readonly bucket: number;
  readonly used: number;
  /** Of the bucket before it. */
  readonly before: number;
}

export const EMPTY_COUNTER: CounterState = { bucket: 0, used: 0, before: 0 };

export function bucketAt(window: LimitWindow, nowMs: number): number {
  if (window === 'minute') return Math.floor(nowMs / MINUTE_MS);
  if (window === 'day') return Math.floor(nowMs / DAY_MS);
  if (window === 'total') return 0;
  const now = new Date(nowMs);
  return now.getUTCFullYear() * 12 + now.getUTCMonth();
}

/** Milliseconds since the epoch; Infinity for `total`. */
export function bucketEndMs(window: LimitWindow, bucket: number): number {
  if (window === 'minute') return (bucket + 1) * MINUTE_MS;
  if (window === 'day') return (bucket + 1) * DAY_MS;
  if (window === 'total') return Infinity;
  return Date.UTC(Math.floor((bucket + 1) / 12), (bucket + 1) % 12);
}

/** The counter as it is at a later time. A clock that went back counts into the newest bucket. */
export function rollTo(state: CounterState, bucket: number): CounterState {
  if (bucket <= state.bucket) return state;
  return { bucket, used: 0, before: bucket === state.bucket + 1 ? state.used : 0 };
}

/** What counts against the limit at `nowMs`; the state is rolled to then. */
export function countedAt(window: LimitWindow, state: CounterState, nowMs: number): number {
  return state.used + state.before * shareBefore(window, state, nowMs);
}

/** How much of the bucket before still counts, 1 to 0. */
export function shareBefore(window: LimitWindow, { bucket }: CounterState, nowMs: number): number {
  if (window !== 'minute') return 0;
  return Math.min(1, Math.max(0, (bucketEndMs(window, bucket) - nowMs) / MINUTE_MS));
}

export interface Draw {
  readonly window: LimitWindow;
  readonly amount: number;
  readonly limit: number;
}

/** When the draw will fit if nobody else draws, in milliseconds from `nowMs`; null: never. */
export function retryAfterMs({ window, amount, limit }: Draw, state: CounterState, nowMs: number): number | null {
  if (amount > limit || window === 'total') return null;
  const endMs = bucketEndMs(window, state.bucket);
  const leftMs = Math.max(0, endMs - nowMs);
  if (window !== 'minute') return Math.max(1, leftMs);
  const room = limit - amount;
  // Within this minute, as the one before fades.
  if (state.used <= room && state.before > 0) return Math.max(1, Math.ceil(leftMs - (MINUTE_MS * (room - state.used)) / state.before));
  // Within the next, as this one does.
  if (state.used <= 0) return Math.max(1, leftMs);
  return Math.max(1, Math.ceil(leftMs + MINUTE_MS * Math.max(0, 1 - room / state.used)));
}

/** When nothing of it counts any more, in milliseconds from `nowMs`. */
export function resetMs(window: LimitWindow, state: CounterState, nowMs: number): number {
  if (window === 'total') return 0;
  const endMs = bucketEndMs(window, state.bucket);
  if (window !== 'minute') return state.used > 0 ? Math.max(0, endMs - nowMs) : 0;
  if (state.used > 0) return Math.max(0, endMs + MINUTE_MS - nowMs);
  return state.before > 0 ? Math.max(0, endMs - nowMs) : 0;
}
