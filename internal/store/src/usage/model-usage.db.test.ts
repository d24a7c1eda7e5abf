import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '@openeaap/kernel';
import { createModelKey } from '../model-keys/index.ts';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { forgetExpiredCounters } from './forget-counters.ts';
import { sumModelUsage } from './sum-model-usage.ts';
import type { ModelUsageGroup } from './sum-model-usage.ts';
import type { ModelUsageRow } from './write-model-usage.ts';
import { writeModelUsage } from './write-model-usage.ts';

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 8 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const HOUR = new Date('2026-11-24T12:00:00Z');

function row(over: Partial<ModelUsageRow> = {}): ModelUsageRow {
  return {
    tenantId: 't', hour: HOUR, keyId: '', userId: 'alice', agentId: '', runId: '', backend: 'local', model: 'qwen', kind: 'chat', cache: 'miss',
    calls: 1, failed: 0, promptTokens: 10, completionTokens: 2, cachedTokens: 4, reasoningTokens: 1, costUsdNanos: 200, estimated: 0, latencyMs: 30, ...over,
  };
}

const sums = (groupBy: ModelUsageGroup, over: object = {}) => sumModelUsage(pool, { tenantId: 't', groupBy, limit: 100, ...over });

describe('the ledger of model calls', () => {
  test('rows of one hour add up, and a batch that is sent again adds nothing', async () => {
    const batch = randomIds.newId();
    await writeModelUsage(pool, batch, [row(), row({ cache: 'hit', promptTokens: 0, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0, costUsdNanos: 0 })]);
    await writeModelUsage(pool, batch, [row()]);
    await writeModelUsage(pool, randomIds.newId(), [row({ failed: 1, estimated: 1 })]);
    expect(await sums('user')).toEqual([
      { key: 'alice', calls: 3, failed: 1, promptTokens: 20, completionTokens: 4, cachedTokens: 8, reasoningTokens: 2, costUsdNanos: 400, estimated: 1, latencyMs: 90 },
    ]);
    expect((await sums('cache')).map(({ key, calls }) => [key, calls])).toEqual([['miss', 2], ['hit', 1]]);
  });

  test('groups by what is asked for, the dearest first; keys have their names, days their order', async () => {
    const key = await createModelKey(
      pool,
      { tenantId: 't', id: randomIds.newId(), name: 'ci-bot', keyHash: 'h', prefix: 'oek_abc', owner: 'service:ci', models: null, sensitivity: 1, labels: [], labelsGranted: true, priority: 0, limits: { requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: null, usdPerDay: null, usdPerMonth: null, usdTotal: null }, expiresAt: null, createdBy: 'root' },
      10,
    );
    await writeModelUsage(pool, randomIds.newId(), [
      row({ hour: new Date('2026-11-25T01:00:00Z'), userId: 'service:ci', keyId: key?.id ?? '', costUsdNanos: 5_000_000_000 }),
      row({ hour: new Date('2026-11-25T02:00:00Z'), userId: 'bob', runId: 'r1', agentId: 'gone', backend: 'dear', model: 'gpt', costUsdNanos: 10 }),
    ]);
    expect((await sums('key')).map(({ key: name, calls }) => [name, calls])).toEqual([['ci-bot', 1], ['', 4]]);
    expect((await sums('day')).map(({ key: day, calls }) => [day, calls])).toEqual([['2026-11-24', 3], ['2026-11-25', 2]]);
    expect((await sums('agent')).map(({ key: agent }) => agent)).toEqual(['', 'gone']);
    expect((await sums('run')).map(({ key: run }) => run)).toEqual(['', 'r1']);
    expect((await sums('backend', { userId: 'bob' })).map(({ key: backend }) => backend)).toEqual(['dear']);
    expect(await sums('user', { limit: 1 })).toHaveLength(1);
    expect(await sumModelUsage(pool, { tenantId: 'other', groupBy: 'user', limit: 10 })).toEqual([]);
  });

  test('names are looked up for the groups, not for each row', async () => {
    await pool.query("INSERT INTO model_keys (tenant_id, id, name, key_hash, prefix, owner, sensitivity, labels, labels_granted, priority, limits, created_by) SELECT 'many', ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, 'key-' || i, 'many-' || i, 'oek_', 'o', 1, '{}', true, 0, '{}', 'root' FROM generate_series(1, 1000) i");
    await pool.query("INSERT INTO model_usage SELECT 'many', $1::timestamptz + (i / 1000) * interval '1 hour', '00000000-0000-7000-8000-' || lpad((1 + i % 1000)::text, 12, '0'), 'u', '', '', 'b', 'm', 'chat', 'off', 1, 0, 1, 1, 0, 0, 1, 0, 1 FROM generate_series(0, 3999) i", [HOUR]);
    const timed = async (groupBy: ModelUsageGroup) => {
      const startedMs = performance.now();
      const rows = await sums(groupBy, { tenantId: 'many' });
      return { rows, ms: performance.now() - startedMs };
    };
    const plain = await timed('user');
    const named = await timed('key');
    expect(named.rows.slice(0, 2).map(({ key, calls }) => [key, calls])).toEqual([['key-1', 4], ['key-10', 4]]);
    expect(named.ms).toBeLessThan(100 + 10 * plain.ms);
  });

  test('a range takes whole hours, by their beginning', async () => {
    const calls = async (from: string | undefined, to: string | undefined): Promise<number> =>
      (await sums('backend', { from: from === undefined ? undefined : new Date(from), to: to === undefined ? undefined : new Date(to) })).reduce((sum, each) => sum + each.calls, 0);
    expect(await calls('2026-11-25T01:30:00Z', undefined)).toBe(2);
    expect(await calls('2026-11-25T02:00:00Z', undefined)).toBe(1);
    expect(await calls(undefined, '2026-11-25T01:00:00Z')).toBe(3);
    expect(await calls(undefined, '2026-11-25T01:00:01Z')).toBe(4);
  });

  test('many nodes at once on the same hours lose nothing', async () => {
    const users = Array.from({ length: 10 }, (_, index) => `u${index}`);
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => writeModelUsage(pool, randomIds.newId(), (index % 2 === 0 ? users : users.toReversed()).map((userId) => row({ tenantId: 'busy', userId })))),
    );
    const all = await sumModelUsage(pool, { tenantId: 'busy', groupBy: 'user', limit: 100 });
    expect(all.map(({ key, calls, promptTokens }) => [key, calls, promptTokens])).toEqual(users.map((user) => [user, 20, 200]));
  });

  test('text that PostgreSQL cannot store is no reason to lose a bill', async () => {
    await writeModelUsage(pool, randomIds.newId(), [row({ tenantId: 'odd', model: 'a\u0000b' })]);
    expect((await sumModelUsage(pool, { tenantId: 'odd', groupBy: 'model', limit: 10 })).map(({ calls }) => calls)).toEqual([1]);
  });

  test('after 90 days an hour is kept without run and agent, and its sums stay', async () => {
    const old = new Date(Date.now() - 91 * 86_400_000 - 3_600_000);
    const young = new Date(Date.now() - 89 * 86_400_000);
    const of = (over: Partial<ModelUsageRow>) => row({ tenantId: 'aged', ...over });
    await writeModelUsage(pool, randomIds.newId(), [
      of({ hour: old }), of({ hour: old, agentId: 'a', failed: 1 }), of({ hour: old, runId: 'r1', estimated: 1 }), of({ hour: old, runId: 'r2', agentId: 'a', keyId: 'k' }), of({ hour: young, runId: 'r3' }),
    ]);
    const total = await sums('user', { tenantId: 'aged' });
    await forgetExpiredCounters(pool);
    await forgetExpiredCounters(pool);
    expect(await sums('user', { tenantId: 'aged' })).toEqual(total);
    expect((await sums('run', { tenantId: 'aged' })).map(({ key, calls }) => [key, calls])).toEqual([['', 4], ['r3', 1]]);
    expect((await sums('agent', { tenantId: 'aged' })).map(({ key, calls }) => [key, calls])).toEqual([['', 5]]);
    expect((await pool.query("SELECT key_id, calls, failed, estimated FROM model_usage WHERE tenant_id = 'aged' AND hour = $1 ORDER BY key_id", [old])).rows).toEqual([
      { key_id: '', calls: '3', failed: '1', estimated: '1' }, { key_id: 'k', calls: '1', failed: '0', estimated: '0' },
    ]);
  });

  test('housekeeping forgets counters that are over and old marks of batches, and no bill', async () => {
    await pool.query("INSERT INTO limit_counters VALUES ('t', 'over', 1, 1, 0, now() - interval '1 s'), ('t', 'live', 1, 1, 0, now() + interval '1 hour')");
    await pool.query("UPDATE model_usage_batches SET written_at = now() - interval '25 hours' WHERE id = (SELECT id FROM model_usage_batches ORDER BY id LIMIT 1)");
    const count = async (table: string): Promise<number> => Number((await pool.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n);
    const before = { batches: await count('model_usage_batches'), usage: await count('model_usage') };
    await forgetExpiredCounters(pool);
    expect((await pool.query<{ counter: string }>('SELECT counter FROM limit_counters')).rows).toEqual([{ counter: 'live' }]);
    expect({ batches: await count('model_usage_batches'), usage: await count('model_usage') }).toEqual({ batches: before.batches - 1, usage: before.usage });
  });
});
