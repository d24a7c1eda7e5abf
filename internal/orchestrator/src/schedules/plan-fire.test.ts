import { describe, expect, test } from 'vitest';
import type { CatchUp } from '@openeaap/kernel';
import { LIMITS } from '@openeaap/kernel';
import { planFire } from './plan-fire.ts';

const T = '2026-11-24T00:00:00.000Z';
const at = (minutes: number, seconds = 0): Date => new Date(Date.parse(T) + minutes * 60_000 + seconds * 1_000);
const plan = (catchUp: CatchUp, now: Date, given: { readonly cron?: string; readonly nextAt?: Date } = {}) => planFire({ cron: given.cron ?? '*/10 * * * *', timeZone: 'Asia/Shanghai', nextAt: given.nextAt ?? at(0), catchUp }, now);

describe('a fire that is on time', () => {
  test.each<CatchUp>(['none', 'last', 'all'])('is made, with catch_up %s, and the next one is next', (catchUp) => {
    expect(plan(catchUp, at(0))).toEqual({ fireAt: at(0), nextAt: at(10), missedFrom: null });
    expect(plan(catchUp, at(0, 59))).toEqual({ fireAt: at(0), nextAt: at(10), missedFrom: null });
  });
});

describe('fires that nobody was there for', () => {
  test('none: they are given up', () => {
    expect(plan('none', at(35))).toEqual({ fireAt: null, nextAt: at(40), missedFrom: at(0) });
  });

  test('none: the newest is made if it has only just come', () => {
    expect(plan('none', at(30, 59))).toEqual({ fireAt: at(30), nextAt: at(40), missedFrom: at(0) });
    expect(plan('none', at(31))).toMatchObject({ fireAt: at(30) });
    expect(plan('none', at(31, 1))).toMatchObject({ fireAt: null });
  });

  test('last: the newest is made, however late, and those before it are given up', () => {
    expect(plan('last', at(39))).toEqual({ fireAt: at(30), nextAt: at(40), missedFrom: at(0) });
    expect(plan('last', at(9))).toEqual({ fireAt: at(0), nextAt: at(10), missedFrom: null });
  });

  test('all: each is made, the oldest first', () => {
    expect(plan('all', at(35))).toEqual({ fireAt: at(0), nextAt: at(10), missedFrom: null });
    expect(plan('all', at(35), { nextAt: at(30) })).toEqual({ fireAt: at(30), nextAt: at(40), missedFrom: null });
  });

  test('all: of more than the limit the newest are made, one after the other, and the limit holds for all of them', () => {
    const now = at(60 * 24 * 30, 5);
    const made: Date[] = [];
    let nextAt: Date | null = at(0);
    let missed = 0;
    while (nextAt !== null && nextAt <= now) {
      const planned = plan('all', now, { cron: '* * * * *', nextAt });
      if (planned.missedFrom !== null) missed += 1;
      if (planned.fireAt !== null) made.push(planned.fireAt);
      nextAt = planned.nextAt;
    }
    const newest = at(60 * 24 * 30).getTime();
    expect(made.map((fire) => fire.getTime())).toEqual(Array.from({ length: LIMITS.scheduleCatchUpRuns }, (_none, index) => newest - (LIMITS.scheduleCatchUpRuns - 1 - index) * 60_000));
    expect(missed, 'said once').toBe(1);
  });

  test('the newest of millions is found without walking through them', () => {
    const now = at(60 * 24 * 365, 0.4);
    expect(plan('last', now, { cron: '* * * * * *' })).toEqual({ fireAt: at(60 * 24 * 365), nextAt: at(60 * 24 * 365, 1), missedFrom: at(0) });
  });

  test('a day on which the clock changes is caught up with once', () => {
    const berlin = (nextAt: string, now: string) => planFire({ cron: '30 2 * * *', timeZone: 'Europe/Berlin', nextAt: new Date(nextAt), catchUp: 'last' }, new Date(now));
    expect(berlin('2026-03-29T01:30:00Z', '2026-03-29T01:40:00Z')).toMatchObject({ fireAt: new Date('2026-03-29T01:30:00Z'), nextAt: new Date('2026-03-30T00:30:00Z') });
    expect(berlin('2026-10-25T00:30:00Z', '2026-10-25T01:40:00Z')).toMatchObject({ fireAt: new Date('2026-10-25T00:30:00Z'), nextAt: new Date('2026-10-26T01:30:00Z') });
  });
});

test('a stored time that is none any more (the rules of its zone have changed) moves to the next true one', () => {
  expect(plan('last', at(5), { nextAt: at(3) })).toEqual({ fireAt: null, nextAt: at(10), missedFrom: null });
});
