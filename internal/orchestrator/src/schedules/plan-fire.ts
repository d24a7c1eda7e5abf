import type { CatchUp } from '@openeaap/kernel';
import { LIMITS } from '@openeaap/kernel';
import type { Timing } from './next-fires.ts';
import { nextFire, nextFires } from './next-fires.ts';

export interface FirePlan {
  /** The fire to make now; null: every one that has come was missed. */
  readonly fireAt: Date | null;
  /** When the next one is due, perhaps at once; null: none ever comes. */
  readonly nextAt: Date | null;
  /** The earliest fire that is given up; null: none is. */
  readonly missedFrom: Date | null;
}

const SECOND_MS = 1_000;

/**
 * Which fire of a due schedule is made now, and which is next. One at a time: after a crash the same
 * fire is planned again, or a later one, never an earlier one.
 *
 * @param timing.nextAt the earliest fire that is not settled; it is not after `now`.
 */
export function planFire(timing: Timing & { readonly nextAt: Date; readonly catchUp: CatchUp }, now: Date): FirePlan {
  const { nextAt, catchUp } = timing;
  const kept = newestFires(timing, { from: nextAt, to: now }, catchUp === 'all' ? LIMITS.scheduleCatchUpRuns : 1);
  const [first] = kept;
  // The stored time is none any more: the rules of the time zone, or the platform's, have changed since.
  if (first === undefined) return { fireAt: null, nextAt: nextFire(timing, now), missedFrom: null };
  const isLate = catchUp === 'none' && now.getTime() - first.getTime() > LIMITS.scheduleLateMs;
  const missedFrom = isLate || first > nextAt ? nextAt : null;
  return { fireAt: isLate ? null : first, nextAt: nextFire(timing, isLate ? now : first), missedFrom };
}

/** The newest `limit` fires of from ≤ t ≤ to, earliest first. */
function newestFires(timing: Timing, { from, to }: { readonly from: Date; readonly to: Date }, limit: number): readonly Date[] {
  const upTo = (after: number, count: number): readonly Date[] => nextFires(timing, new Date(after), count).filter((fire) => fire <= to);
  // Fires are on whole seconds, so a millisecond before `from` is before it and after the one before it.
  let before = from.getTime() - 1;
  const few = upTo(before, limit + 1);
  if (few.length <= limit) return few;
  // Too many to walk through: a schedule of every second that was away for a month has missed millions.
  // The later the start, the fewer the fires after it; so the latest start with `limit` of them is halved in on.
  let tooLate = to.getTime() + 1;
  while (tooLate - before > SECOND_MS) {
    const middle = Math.floor((before + tooLate) / 2);
    if (upTo(middle, limit).length === limit) before = middle;
    else tooLate = middle;
  }
  return upTo(before, limit + 1).slice(-limit);
}
