import { CronExpressionParser } from 'cron-parser';
import { expandCron } from './parse-cron.ts';

/** A cron expression in a time zone, both as their parsers gave them. */
export interface Timing {
  readonly cron: string;
  readonly timeZone: string;
}

/** The longest jump of a clock that any zone makes twice a year (Antarctica/Troll). */
const LONGEST_JUMP_MS = 7_200_000;
const SECOND_MS = 1_000;

/**
 * The first `count` fires after `after`, earliest first; fewer when there are no more.
 *
 * The answer depends on `after` only by where it begins: fires after a later time are always a tail of
 * those after an earlier one. The library alone does not give this near a change of the clock, so there it
 * is started before the change.
 *
 * Where clocks go forward, a fire in the hour that is left out comes an hour later by the clock, once;
 * where they go back, a fire at a fixed hour comes once, the first time; and a fire of every hour, or
 * every so many minutes, goes on through both.
 */
export function nextFires(timing: Timing, after: Date, count: number): readonly Date[] {
  const fires: Date[] = [];
  const expression = CronExpressionParser.parse(expandCron(timing.cron), { currentDate: startOf(timing.timeZone, after), tz: timing.timeZone });
  while (fires.length < count && expression.hasNext()) {
    const fire = expression.next().toDate();
    if (fire > after) fires.push(fire);
  }
  return fires;
}

export const nextFire = (timing: Timing, after: Date): Date | null => nextFires(timing, after, 1)[0] ?? null;

/** `after` itself, or, shortly after a change of the clock, the last second before it. */
function startOf(timeZone: string, after: Date): Date {
  const offsetAt = createOffsetReader(timeZone);
  let before = after.getTime() - LONGEST_JUMP_MS;
  let since = after.getTime();
  if (offsetAt(before) === offsetAt(since)) return after;
  while (since - before > SECOND_MS) {
    const middle = (before + since) / 2;
    if (offsetAt(middle) === offsetAt(since)) since = middle;
    else before = middle;
  }
  return new Date(before);
}

/** RFC 3339 with the zone's offset at that time, e.g. `2026-12-01T09:00:00+08:00`: how a person there reads it. */
export function toZonedText(at: Date, timeZone: string): string {
  const offset = createOffsetReader(timeZone)(at.getTime()).replace('GMT', '') || '+00:00';
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d+):(\d+)/.exec(offset) ?? [];
  const offsetMs = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return `${new Date(at.getTime() + offsetMs).toISOString().slice(0, 19)}${offset.slice(0, 6)}`;
}

function createOffsetReader(timeZone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  return (ms) => format.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? '';
}
