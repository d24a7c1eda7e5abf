import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../store/src/testing/seeded-random.ts';
import { bucketAt, bucketEndMs, countedAt, LIMIT_WINDOWS, resetMs, retryAfterMs, rollTo } from './limit-window.ts';

const NOW = Date.UTC(2026, 10, 24, 12, 0, 30);
const MINUTE = bucketAt('minute', NOW);

describe('a window', () => {
  test('says when a draw fits, and not before', () => {
    const random = createRandom(11);
    for (let round = 0; round < 2_000; round += 1) {
      const nowMs = NOW + Math.floor(random() * 86_400_000);
      const window = LIMIT_WINDOWS[Math.floor(random() * 3)] ?? 'minute';
      const limit = 1 + Math.floor(random() * 1_000);
      const state = { bucket: bucketAt(window, nowMs), used: Math.floor(random() * limit * 1.5), before: Math.floor(random() * limit) };
      const draw = { window, limit, amount: 1 + Math.floor(random() * limit) };
      const fitsAt = (ms: number): boolean => countedAt(window, rollTo(state, bucketAt(window, ms)), ms) + draw.amount <= limit + 1e-9;
      if (fitsAt(nowMs)) continue;
      const waitMs = retryAfterMs(draw, state, nowMs);
      // To the millisecond, but for the rounding of a share.
      const early = waitMs !== null && waitMs > 2 && fitsAt(nowMs + waitMs - 2);
      expect({ round, fits: waitMs !== null && fitsAt(nowMs + waitMs), early }).toEqual({ round, fits: true, early: false });
    }
  });

  test('what is more than the limit never fits, and a total gives nothing back by waiting', () => {
    const state = { bucket: MINUTE, used: 0, before: 0 };
    expect(retryAfterMs({ window: 'minute', amount: 11, limit: 10 }, state, NOW)).toBeNull();
    expect(retryAfterMs({ window: 'total', amount: 1, limit: 10 }, { ...state, bucket: 0, used: 10 }, NOW)).toBeNull();
  });

  test('is free again when nothing of it counts any more', () => {
    expect(resetMs('minute', { bucket: MINUTE, used: 1, before: 0 }, NOW)).toBe(90_000);
    expect(resetMs('minute', { bucket: MINUTE, used: 0, before: 5 }, NOW)).toBe(30_000);
    expect(resetMs('minute', { bucket: MINUTE, used: 0, before: 0 }, NOW)).toBe(0);
    expect(resetMs('day', { bucket: bucketAt('day', NOW), used: 1, before: 9 }, NOW)).toBe(Date.UTC(2026, 10, 25) - NOW);
    expect(bucketEndMs('month', bucketAt('month', Date.UTC(2026, 11, 31)))).toBe(Date.UTC(2027, 0, 1));
  });

  test('a clock that went back counts into the newest bucket, of which all before still counts', () => {
    const state = { bucket: MINUTE + 1, used: 2, before: 4 };
    expect(rollTo(state, MINUTE)).toEqual(state);
    expect(countedAt('minute', state, NOW)).toBe(6);
  });
});
