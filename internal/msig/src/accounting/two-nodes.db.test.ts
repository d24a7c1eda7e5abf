import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NO_MODEL_LIMITS } from '@openeaap/kernel';
import { openRedisLink } from '../cache/redis-link.ts';
import type { RedisLink } from '../cache/redis-link.ts';
import type { LimitConfig } from '../config/gateway-config.ts';
import { findRedisServer, startRedis } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import type { Accountant } from './accountant.ts';
import { createAccountant } from './create-accountant.ts';
import { createRedisCounters } from './redis-counters.ts';

const isInstalled = findRedisServer() !== null;
// In the middle of a minute: nothing fades while the burst lasts.
const NOON = Date.UTC(2026, 10, 24, 12, 0, 30);
const LIMITS: readonly LimitConfig[] = [{ per: 'tenant', name: null, requestsPerMinute: 50, tokensPerMinute: 5_000, tokensPerDay: null, usdPerDay: 1, usdPerMonth: null }];

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

const open = (timeoutMs: number): readonly Accountant[] =>
  links.map((link) => createAccountant({ limits: () => LIMITS, counters: createRedisCounters({ link, now: () => NOON, lateMs: timeoutMs }), writeUsage: async () => undefined, newId: () => 'b', onError: () => undefined, takeTimeoutMs: timeoutMs }));

const ACCESS = { tenantId: '', runId: '', stepId: '', agentId: '', userId: 'alice', traceId: '' } as const;

const reserve = async (node: Accountant | undefined, tenantId: string, tokens: number) =>
  node?.reserve({ access: { ...ACCESS, tenantId }, tokens, costUsdNanos: 10_000 }) ?? Promise.reject(new Error('there are two nodes'));

describe.skipIf(!isInstalled && process.env['CI'] !== 'true')('two nodes on one Redis', () => {
  test('200 at once: never more than the limit, whichever of several is the tightest', async () => {
    const nodes = open(10_000);
    for (const [tenantId, tokens, most] of [['requests', 10, 50], ['tokens', 150, 33]] as const) {
      const burst = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => reserve(nodes[index % 2], tenantId, tokens)));
      expect(burst.filter(({ status }) => status === 'fulfilled')).toHaveLength(most);
    }
  });

  test('what one node gives back the other may take', async () => {
    const [one, two] = open(10_000);
    const held = await reserve(one, 'shared', 5_000);
    await expect(reserve(two, 'shared', 1)).rejects.toMatchObject({ code: 'quota_exceeded', details: { limit: 'tenant.tokens_per_minute' } });
    held.settle({ promptTokens: 1_000, completionTokens: 0, costUsdNanos: 10_000 });
    await one?.close();
    await expect(reserve(two, 'shared', 4_001)).rejects.toMatchObject({ code: 'quota_exceeded' });
    await reserve(two, 'shared', 4_000);
  });

  test('a Redis that freezes lets nothing pass, at once and not for ever, and takes up again', async () => {
    const [node] = open(100);
    await reserve(node, 'frozen', 1);
    redis?.freeze();
    const startedMs = performance.now();
    for (let tries = 0; tries < 5; tries += 1) await expect(reserve(node, 'frozen', 1)).rejects.toMatchObject({ code: 'unavailable', details: { retry_after_ms: 1_000 } });
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    redis?.resume();
    await expect.poll(() => reserve(node, 'frozen', 1).then(() => 'granted', () => 'refused'), { timeout: 10_000, interval: 50 }).toBe('granted');
  });

  test('what a frozen Redis grants after all, to requests that were refused, comes back: of a budget for life too', async () => {
    const [node] = open(100);
    const own = { limits: { ...NO_MODEL_LIMITS, usdTotal: 1 }, keyId: 'k1' };
    const take = async () => node?.reserve({ access: { ...ACCESS, tenantId: 'late', ...own }, tokens: 10, costUsdNanos: 100_000_000 });
    const used = async () => links[1]?.run((client) => client.hGet('openeaap:limit:{late}:key:k1/usd/total', 'u'), 5_000);
    await expect.poll(() => take().then(() => 'granted', () => 'refused'), { timeout: 10_000, interval: 50 }).toBe('granted');
    redis?.freeze();
    await Promise.all(Array.from({ length: 5 }, () => expect(take()).rejects.toMatchObject({ code: 'unavailable' })));
    redis?.resume();
    // Its ping is answered after the takes before it on the same connection.
    await expect.poll(() => links[0]?.isUp(), { timeout: 10_000, interval: 20 }).toBe(true);
    await expect.poll(used, { timeout: 10_000, interval: 20 }).toBe('100000000');
  });
});
