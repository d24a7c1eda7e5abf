import { describe, expect, test } from 'vitest';
import { nextFires, toZonedText } from './next-fires.ts';

const fires = (cron: string, timeZone: string, after: string, count = 3): readonly string[] => nextFires({ cron, timeZone }, new Date(after), count).map((at) => toZonedText(at, timeZone));
const utc = (cron: string, timeZone: string, after: string, count = 1): readonly string[] => nextFires({ cron, timeZone }, new Date(after), count).map((at) => at.toISOString());

describe('fires', () => {
  test('are in the zone of the schedule, strictly after, on whole seconds', () => {
    expect(fires('0 9 * * 1-5', 'Asia/Shanghai', '2026-11-20T00:59:59.999Z')).toEqual(['2026-11-20T09:00:00+08:00', '2026-11-23T09:00:00+08:00', '2026-11-24T09:00:00+08:00']);
    expect(utc('0 9 * * *', 'Asia/Shanghai', '2026-11-20T01:00:00Z')).toEqual(['2026-11-21T01:00:00.000Z']);
    expect(utc('* * * * * *', 'UTC', '2026-11-20T01:00:00.001Z', 2)).toEqual(['2026-11-20T01:00:01.000Z', '2026-11-20T01:00:02.000Z']);
  });

  test('of the words are what people expect', () => {
    expect(fires('@hourly', 'Asia/Shanghai', '2026-11-20T00:10:00Z', 1)).toEqual(['2026-11-20T09:00:00+08:00']);
    expect(fires('@midnight', 'Asia/Shanghai', '2026-11-20T00:10:00Z', 1)).toEqual(['2026-11-21T00:00:00+08:00']);
    expect(fires('@monthly', 'UTC', '2026-11-20T00:10:00Z', 2)).toEqual(['2026-12-01T00:00:00+00:00', '2027-01-01T00:00:00+00:00']);
  });

  test('with a day of the month and a day of the week come on either', () => {
    expect(fires('0 0 13 * 5', 'UTC', '2026-11-01T00:00:00Z', 4)).toEqual(['2026-11-06T00:00:00+00:00', '2026-11-13T00:00:00+00:00', '2026-11-20T00:00:00+00:00', '2026-11-27T00:00:00+00:00']);
  });

  test('of a rare day are found', () => {
    expect(fires('0 0 29 2 *', 'Asia/Shanghai', '2026-03-01T00:00:00Z', 2)).toEqual(['2028-02-29T00:00:00+08:00', '2032-02-29T00:00:00+08:00']);
  });
});

/** Europe/Berlin 2026: clocks go forward on 29 March at 01:00 UTC and back on 25 October at 01:00 UTC. */
describe('a change of the clock', () => {
  test('forward: 02:30 does not exist; it comes at 03:30, once', () => {
    expect(fires('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z')).toEqual(['2026-03-28T02:30:00+01:00', '2026-03-29T03:30:00+02:00', '2026-03-30T02:30:00+02:00']);
    expect(fires('30 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2), 'with 03:30 it is one fire').toEqual(['2026-03-29T03:30:00+02:00', '2026-03-30T02:30:00+02:00']);
  });

  test('back: 02:30 comes twice; it fires the first time only', () => {
    expect(fires('30 2 * * *', 'Europe/Berlin', '2026-10-24T00:00:00Z')).toEqual(['2026-10-24T02:30:00+02:00', '2026-10-25T02:30:00+02:00', '2026-10-26T02:30:00+01:00']);
  });

  test('an interval goes on through both', () => {
    expect(utc('*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', 4)).toEqual(['2026-10-25T00:30:00.000Z', '2026-10-25T01:00:00.000Z', '2026-10-25T01:30:00.000Z', '2026-10-25T02:00:00.000Z']);
    expect(utc('0 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', 2)).toEqual(['2026-03-29T01:00:00.000Z', '2026-03-29T02:00:00.000Z']);
  });

  test('at midnight: Sao Paulo 2018, where 00:00 did not exist', () => {
    expect(fires('0 0 * * *', 'America/Sao_Paulo', '2018-11-03T12:00:00Z', 2)).toEqual(['2018-11-04T01:00:00-02:00', '2018-11-05T00:00:00-02:00']);
  });

  test('by half an hour (Lord Howe): a fire in the half hour that is left out does not come that day', () => {
    expect(fires('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T00:00:00Z', 2)).toEqual(['2026-10-03T02:15:00+10:30', '2026-10-05T02:15:00+11:00']);
  });

  test.each([
    ['30 2 * * *', 'Europe/Berlin', '2026-03-29'],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25'],
    ['0,30 2 * * *', 'Europe/Berlin', '2026-10-25'],
    ['15 */2 * * *', 'Europe/Berlin', '2026-10-25'],
    ['*/20 * * * *', 'Europe/Berlin', '2026-03-29'],
    ['30 1 * * *', 'America/New_York', '2026-11-01'],
    ['30 2 * * *', 'America/New_York', '2026-03-08'],
    ['30 1 * * *', 'Antarctica/Troll', '2026-03-29'],
  ])('%j in %s on %s: wherever one begins, the same fires come', (cron, timeZone, day) => {
    const from = Date.parse(`${day}T00:00:00Z`) - 3_600_000;
    const all = nextFires({ cron, timeZone }, new Date(from), 200).map((at) => at.getTime());
    for (let after = from; after < from + 14 * 3_600_000; after += 5 * 60_000) {
      const [next] = nextFires({ cron, timeZone }, new Date(after), 1);
      expect(next?.toISOString(), `after ${new Date(after).toISOString()}`).toBe(new Date(all.find((at) => at > after) ?? 0).toISOString());
    }
  });
});

test('a time is written as it is read in its zone', () => {
  const at = new Date('2026-07-01T20:00:00Z');
  expect([toZonedText(at, 'Asia/Shanghai'), toZonedText(at, 'America/New_York'), toZonedText(at, 'Asia/Kolkata'), toZonedText(at, 'UTC')]).toEqual([
    '2026-07-02T04:00:00+08:00',
    '2026-07-01T16:00:00-04:00',
    '2026-07-02T01:30:00+05:30',
    '2026-07-01T20:00:00+00:00',
  ]);
});
