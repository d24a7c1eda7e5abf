import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testCounters } from '../../../store/src/testing/counters-contract.ts';
import { openRedisLink } from '../cache/redis-link.ts';
import type { RedisLink } from '../cache/redis-link.ts';
import { findRedisServer, startRedis } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { createRedisCounters } from './redis-counters.ts';

const isInstalled = findRedisServer() !== null;

let redis: TestRedis | null = null;
let links: readonly RedisLink[] = [];
beforeAll(async () => {
  redis = await startRedis();
  if (redis === null) return;
  const { url } = redis;
  links = [1, 2].map(() => openRedisLink(url, { log: () => undefined, random: Math.random }));
  await Promise.all(links.map((link) => link.tried));
});
afterAll(async () => {
  await Promise.all(links.map((link) => link.close()));
  await redis?.stop();
});

const linkAt = (index: number): RedisLink => {
  const link = links[index];
  if (link === undefined) throw new Error('Redis runs');
  return link;
};

describe.skipIf(!isInstalled && process.env['CI'] !== 'true')('in Redis', () => {
  testCounters(() => ({ nodes: (now) => [createRedisCounters({ link: linkAt(0), now, lateMs: 5_000 }), createRedisCounters({ link: linkAt(1), now, lateMs: 5_000 })] }));

  test('without a time of a test the clock of the server counts', async () => {
    const counters = createRedisCounters({ link: linkAt(0), lateMs: 5_000 });
    const taken = await counters.take('t', [{ counter: 'clock', window: 'month', amount: 1, limit: 1 }]);
    expect(Math.abs(taken.nowMs - Date.now())).toBeLessThan(5_000);
    const now = new Date();
    expect(taken).toMatchObject({ states: [{ bucket: now.getUTCFullYear() * 12 + now.getUTCMonth() }] });
  });

  test('counters that are over are forgotten by the server itself; a total is not', async () => {
    const counters = createRedisCounters({ link: linkAt(0), lateMs: 5_000 });
    for (const window of ['minute', 'total'] as const) await counters.take('t', [{ counter: `kept/${window}`, window, amount: 1, limit: 1 }]);
    const ttlOf = (window: string) => linkAt(0).run((client) => client.pTTL(`openeaap:limit:{t}:kept/${window}`), 5_000);
    expect(await ttlOf('minute')).toBeGreaterThan(60_000);
    expect(await ttlOf('total')).toBe(-1);
  });

  test('a server that forgot its scripts is told them again', async () => {
    const counters = createRedisCounters({ link: linkAt(0), lateMs: 5_000 });
    await linkAt(0).run((client) => client.sendCommand(['SCRIPT', 'FLUSH']), 5_000);
    expect((await counters.take('t', [{ counter: 'flushed', window: 'minute', amount: 1, limit: 10 }])).kind).toBe('granted');
  });

  test('one that is late still says what it has done; one that is down is not asked', async () => {
    const hasty = createRedisCounters({ link: linkAt(1), lateMs: 20 });
    const take = () => hasty.take('t', [{ counter: 'late', window: 'total', amount: 1, limit: 10 }]);
    redis?.freeze();
    const late = Array.from({ length: 3 }, take);
    await expect.poll(() => linkAt(1).isUp()).toBe(false);
    await expect(take()).rejects.toMatchObject({ code: 'unavailable', details: { sent: false, retry_after_ms: 1_000 } });
    redis?.resume();
    expect((await Promise.all(late)).map(({ kind, states }) => [kind, states[0]?.used])).toEqual([['granted', 1], ['granted', 2], ['granted', 3]]);
  });
});
