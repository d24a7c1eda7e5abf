import { describe, expect, test } from 'vitest';
import { parseCron } from './parse-cron.ts';
import { parseTimeZone } from './parse-time-zone.ts';

describe('parseCron', () => {
  test.each([
    ['30 2 * * *', '30 2 * * *'],
    ['  0   9\t* * MON-FRI\n', '0 9 * * MON-FRI'],
    ['*/10 * * * * *', '*/10 * * * * *'],
    ['0 0 29 2 *', '0 0 29 2 *'],
    ['0 0 L * *', '0 0 L * *'],
    ['0 9 * * THU', '0 9 * * THU'],
    ['0 9 1 MAR *', '0 9 1 MAR *'],
    ['@Hourly', '@hourly'],
    ['@midnight', '@midnight'],
  ])('takes %j', (text, stored) => {
    expect(parseCron(text)).toBe(stored);
    expect(parseCron(stored), 'what is stored is taken again').toBe(stored);
  });

  test.each([
    ['', /0 fields/],
    ['5', /1 field\b/],
    ['* * * *', /4 fields/],
    ['* * * * * * *', /7 fields/],
    ['60 * * * *', /the minute "60" is wrong: .*0-59/],
    ['0 24 * * *', /the hour "24" is wrong/],
    ['0 9 * * MOON', /the day of the week "MOON" is wrong/],
    ['0 9 32 * *', /the day of the month "32" is wrong/],
    ['61 0 9 * * *', /the second "61" is wrong/],
    ['*/0 * * * *', /the minute "\*\/0" is wrong/],
    ['5-1 * * * *', /the minute "5-1" is wrong/],
    ['H * * * *', /"H" has no fixed meaning/],
    ['0 H(0-5) * * *', /"H" has no fixed meaning/],
    ['0 0 30 2 *', /no such day ever comes/],
    ['0 0 31 4,6 *', /no such day ever comes/],
    ['@reboot', /there is no "@reboot"/],
    ['@every 5m', /there is no "@every 5m"/],
    [`${'1,'.repeat(200)}1 * * * *`, /at most 255/],
  ])('refuses %j: says what is wrong and gives an example', (text, said) => {
    const refused = (): string => parseCron(text);
    expect(refused).toThrow(said);
    expect(refused).toThrow(expect.objectContaining({ code: 'invalid_input', details: { field: 'cron', cure: expect.stringContaining('"0 9 * * 1-5"') } }));
  });
});

describe('parseTimeZone', () => {
  test.each([
    ['Asia/Shanghai', 'Asia/Shanghai'],
    ['asia/shanghai', 'Asia/Shanghai'],
    ['UTC', 'UTC'],
    ['utc', 'UTC'],
    ['America/Argentina/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
    ['Asia/Kolkata', 'Asia/Kolkata'],
  ])('takes %j', (text, stored) => {
    expect(parseTimeZone(text)).toBe(stored);
  });

  test.each(['', 'CST', 'EST', '+08:00', 'GMT+8', 'UTC+8', 'local', 'Asia/Peking', 'Mars/Olympus', 'A/'.repeat(100)])('refuses %j and gives examples', (text) => {
    expect(() => parseTimeZone(text)).toThrow(expect.objectContaining({ code: 'invalid_input', details: { field: 'time_zone', cure: expect.stringContaining('Asia/Shanghai') } }));
  });
});
