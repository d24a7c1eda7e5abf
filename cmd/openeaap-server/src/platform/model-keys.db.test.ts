import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NO_MODEL_LIMITS, randomIds, systemClock } from '@openeaap/kernel';
import { chainRows, createToAuditRow, genesisHash } from '@openeaap/audit';
import type { Caller, CreateModelKeyRequest, ModelKeyPort, Scope } from '@openeaap/http';
import { createAccountant, createKeyResolver, hashModelKey, isModelKey, toKeyAccess } from '@openeaap/msig';
import type { Accountant, MeteredAccess, SharedCounters } from '@openeaap/msig';
import { createMasker } from '@openeaap/security';
import type { CommitLane } from '@openeaap/store';
import { createCommitLane, ensureAuditPartitions, findLiveModelKey, giveLimits, listAudit, putUser, takeLimits, writeModelUsage } from '@openeaap/store';
import type { TestDatabase } from '../../../../internal/store/src/testing/test-database.ts';
import { createTestDatabase } from '../../../../internal/store/src/testing/test-database.ts';
import { createModelKeyPort } from './model-keys.ts';

let database: TestDatabase;
let pool: Pool;
let lane: CommitLane;
let port: ModelKeyPort;
let forgotten: string[];
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 6 });
  await ensureAuditPartitions(pool);
  await putUser(pool, ALICE.principal);
  const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
  lane = createCommitLane({ pool, chainId: randomIds.newId(), toAuditRow: createToAuditRow({ masker: () => masker, clock: systemClock, ids: randomIds }), chain: chainRows, genesis: genesisHash, clock: systemClock });
});
beforeEach(() => {
  forgotten = [];
  port = createModelKeyPort({ pool, lane, clock: systemClock, ids: randomIds, modelKeys: { forget: (id) => void forgotten.push(id) } });
});
afterAll(async () => {
  await lane.close();
  await pool.end();
  await database.drop();
});

const caller = (userId: string, scopes: readonly Scope[] = ['models:keys'], groups: readonly string[] = []): Caller => ({ principal: { tenantId: 't', userId, groups, clearance: 1 }, scopes, keyId: 'k' });
const ROOT = caller('root', ['*']);
const ALICE = caller('alice', ['models:keys'], ['soc']);

const toRequest = (name: string, over: Partial<CreateModelKeyRequest> = {}): CreateModelKeyRequest => ({ name, owner: 'alice', models: null, sensitivity: 1, labels: [], priority: 0, limits: NO_MODEL_LIMITS, expiry: null, ...over });
const PAGE = { limit: 50, cursor: null };

describe('virtual keys', () => {
  test('the secret is given once and kept nowhere, neither in the table nor in the audit', async () => {
    const { key, secret } = await port.createModelKey(ALICE, toRequest('first', { labels: ['soc'], limits: { ...NO_MODEL_LIMITS, usdPerMonth: 5 } }));
    expect(isModelKey(secret)).toBe(true);
    expect(await findLiveModelKey(pool, hashModelKey(secret))).toMatchObject({ id: key.id, owner: 'alice', prefix: secret.slice(0, 12) });
    const facts = await listAudit(pool, { tenantId: 't', actionType: 'model_key_change', limit: 10 });
    expect(facts).toHaveLength(1);
    expect(facts[0]).toMatchObject({ actor: 'user:alice', outcome: 'created', metadata: { model_key: 'first', model_key_id: key.id, owner: 'alice' } });
    const { rows } = await pool.query<{ text: string }>("SELECT coalesce(string_agg(t::text, ' '), '') AS text FROM (SELECT to_jsonb(m) AS t FROM model_keys m UNION ALL SELECT to_jsonb(a) FROM audit_logs a) all_rows");
    expect(rows[0]?.text).toContain(key.id);
    expect(rows[0]?.text).not.toContain(secret.slice(12));
  });

  test('revoking is once, audited once, and known here at once', async () => {
    const { key, secret } = await port.createModelKey(ALICE, toRequest('revoked'));
    const first = await port.revokeModelKey(ALICE, 'revoked');
    const again = await port.revokeModelKey(ALICE, key.id);
    expect([first.status, again]).toEqual(['revoked', first]);
    expect(forgotten).toEqual([key.id]);
    expect(await findLiveModelKey(pool, hashModelKey(secret))).toBeNull();
    const facts = await listAudit(pool, { tenantId: 't', actionType: 'model_key_change', limit: 100 });
    expect(facts.filter(({ outcome }) => outcome === 'revoked')).toHaveLength(1);
    await expect(port.updateModelKey(ALICE, 'revoked', { priority: 1 })).rejects.toMatchObject({ code: 'conflict' });
    await expect(port.createModelKey(ALICE, toRequest('revoked'))).rejects.toMatchObject({ code: 'conflict', details: { field: 'name' } });
  });

  test('what is named is changed, limits one by one', async () => {
    const { key } = await port.createModelKey(ALICE, toRequest('changing', { limits: { ...NO_MODEL_LIMITS, usdPerMonth: 5, requestsPerMinute: 1 } }));
    const changed = await port.updateModelKey(ALICE, 'changing', { models: ['local'], limits: { usdPerMonth: null, usdTotal: 7 } });
    expect(changed).toMatchObject({ id: key.id, models: ['local'], limits: { ...NO_MODEL_LIMITS, requestsPerMinute: 1, usdTotal: 7 }, status: 'active' });
    expect(forgotten).toEqual([key.id]);
    await expect(port.updateModelKey(ALICE, 'changing', { expiresAt: new Date(0) })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'expires_at' } });
  });

  test('another’s key is not found; who acts for others sees all', async () => {
    await port.createModelKey(ROOT, toRequest('of-ci', { owner: 'service:ci' }));
    for (const act of [() => port.getModelKey(ALICE, 'of-ci'), () => port.revokeModelKey(ALICE, 'of-ci'), () => port.updateModelKey(ALICE, 'of-ci', { priority: 1 })]) await expect(act()).rejects.toMatchObject({ code: 'not_found' });
    const names = async (who: Caller, owner: string | null = null): Promise<readonly string[]> => (await port.listModelKeys(who, { owner, withRevoked: false }, PAGE)).items.map(({ name }) => name);
    expect(await names(ROOT)).toEqual(['of-ci', 'changing', 'first']);
    expect(await names(ALICE)).toEqual(['changing', 'first']);
    expect(await names(ALICE, 'service:ci')).toEqual([]);
    expect(await names(ROOT, 'service:ci')).toEqual(['of-ci']);
  });

  test('a key gives nobody more than he has: no labels of other groups, no place before others, no budget that somebody else set', async () => {
    const denied = { code: 'permission_denied' };
    await expect(port.createModelKey(ALICE, toRequest('greedy', { labels: ['soc', 'hr'] }))).rejects.toMatchObject({ ...denied, details: { field: 'labels' } });
    await expect(port.createModelKey(ALICE, toRequest('greedy', { priority: -1 }))).rejects.toMatchObject({ ...denied, details: { field: 'priority' } });
    await expect(port.updateModelKey(ALICE, 'first', { labels: ['hr'] })).rejects.toMatchObject(denied);
    await port.createModelKey(ROOT, toRequest('given', { limits: { ...NO_MODEL_LIMITS, usdPerMonth: 1 } }));
    await expect(port.updateModelKey(ALICE, 'given', { limits: { usdPerMonth: 1_000 } })).rejects.toMatchObject(denied);
    expect((await port.revokeModelKey(ALICE, 'given')).status).toBe('revoked');
  });

  test('labels of one’s own groups end the key with them; labels that were given stay', async () => {
    const keys = createKeyResolver({ find: (hash) => findLiveModelKey(pool, hash), now: Date.now, ttlMs: 0 });
    const own = await port.createModelKey(ALICE, toRequest('own-labels', { labels: ['soc'] }));
    const given = await port.createModelKey(ROOT, toRequest('given-labels', { labels: ['soc'] }));
    const opens = async () => Promise.all([own, given].map(async ({ secret }) => (await keys.resolve(secret)) !== null));
    expect(await opens()).toEqual([true, true]);
    await putUser(pool, { ...ALICE.principal, groups: [] });
    expect(await opens()).toEqual([false, true]);
    await port.updateModelKey(ALICE, 'own-labels', { labels: [] });
    expect(await opens()).toEqual([true, true]);
    await putUser(pool, ALICE.principal);
  });

  test('a key ends by itself', async () => {
    const { key } = await port.createModelKey(ALICE, toRequest('short', { expiry: { kind: 'after', delayMs: 60_000 } }));
    expect(key.status).toBe('active');
    const later = createModelKeyPort({ pool, lane, ids: randomIds, modelKeys: { forget: () => undefined }, clock: { ...systemClock, now: () => new Date(Date.now() + 61_000) } });
    expect((await later.getModelKey(ALICE, 'short')).status).toBe('expired');
    await expect(port.createModelKey(ALICE, toRequest('past', { expiry: { kind: 'at', at: new Date(Date.now() - 1) } }))).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'expires_at' } });
  });

  test('usage is of one’s own, unless one acts for others', async () => {
    const row = { tenantId: 't', hour: new Date('2026-11-24T12:00:00Z'), keyId: '', agentId: '', runId: '', backend: 'local', model: 'm', kind: 'chat', cache: 'off', calls: 1, failed: 0, promptTokens: 1, completionTokens: 1, cachedTokens: 0, reasoningTokens: 0, costUsdNanos: 1, estimated: 0, latencyMs: 1 };
    await writeModelUsage(pool, randomIds.newId(), [{ ...row, userId: 'alice' }, { ...row, userId: 'bob' }]);
    const users = async (who: Caller): Promise<readonly string[]> => (await port.getModelUsage(who, { groupBy: 'user', from: null, to: null, limit: 10 })).map(({ key }) => key);
    expect([await users(ALICE), await users(ROOT)]).toEqual([['alice'], ['alice', 'bob']]);
  });
});

describe('the accounts on one database', () => {
  const countersIn = (own: Pool, nowMs: number | null): SharedCounters => ({ take: (tenantId, items) => takeLimits(own, tenantId, items, nowMs), give: (tenantId, items) => giveLimits(own, tenantId, items, nowMs) });
  const toAccess = (over: Partial<MeteredAccess> = {}): MeteredAccess => ({ tenantId: 't', runId: '', stepId: '', agentId: '', userId: 'dora', traceId: '', ...over });
  const LIMIT = { per: 'user', name: null, requestsPerMinute: 50, tokensPerMinute: null, tokensPerDay: 600, usdPerDay: null, usdPerMonth: null } as const;
  // In the middle of a minute: nothing fades while the burst lasts.
  const NOON = Date.UTC(2026, 10, 24, 12, 0, 30);

  test('two nodes at once never let more through than the limit, and what is not used comes back to both', async () => {
    const pools = [new Pool({ connectionString: database.url, max: 4 }), new Pool({ connectionString: database.url, max: 4 })];
    const errors: unknown[] = [];
    const nodes = pools.map((own) => createAccountant({ limits: () => [LIMIT], counters: countersIn(own, NOON), writeUsage: async () => undefined, newId: randomIds.newId, onError: (error) => errors.push(error), takeTimeoutMs: 30_000 }));
    const nodeAt = (index: number): Accountant => {
      const node = nodes[index % nodes.length];
      if (node === undefined) throw new Error('there are two');
      return node;
    };
    const reserve = async (index: number) => nodeAt(index).reserve({ access: toAccess(), tokens: 10, costUsdNanos: 0 });
    const burst = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => reserve(index)));
    const held = burst.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(held).toHaveLength(50);
    expect(burst.filter((each) => each.status === 'rejected' && (each.reason as { readonly code: string }).code !== 'quota_exceeded')).toEqual([]);
    for (const each of held) each.settle({ promptTokens: 3, completionTokens: 1, costUsdNanos: 0 });
    await Promise.all(nodes.map((node) => node.close()));
    const { rows } = await pool.query<{ counter: string; used: string }>("SELECT counter, used FROM limit_counters WHERE counter LIKE 'user:dora/%' ORDER BY counter");
    expect(rows).toEqual([{ counter: 'user:dora/requests/minute', used: '50' }, { counter: 'user:dora/tokens/day', used: '200' }]);
    expect(errors).toEqual([]);
    await Promise.all(pools.map((own) => own.end()));
  });

  test('a key is found with its limits, they hold, its use is written down, and a database that is away lets nothing pass', async () => {
    const own = new Pool({ connectionString: database.url, max: 2 });
    const keys = createKeyResolver({ find: (hash) => findLiveModelKey(own, hash), now: Date.now });
    const accountant = createAccountant({ limits: () => [], counters: countersIn(own, null), writeUsage: (batchId, rows) => writeModelUsage(own, batchId, rows), newId: randomIds.newId, onError: () => undefined });
    const { key, secret } = await port.createModelKey(ROOT, toRequest('metered', { owner: 'service:meter', limits: { ...NO_MODEL_LIMITS, usdTotal: 0.000_001 } }));
    const found = await keys.resolve(secret);
    expect(found).toMatchObject({ id: key.id });
    if (found === null) return;
    const access = toKeyAccess(found, { traceId: 'x' });
    const held = await accountant.reserve({ access, tokens: 5, costUsdNanos: 900 });
    held.settle({ promptTokens: 5, completionTokens: 0, costUsdNanos: 600 });
    accountant.record({ calls: 1, access, kind: 'embeddings', backend: 'local', model: 'm', cache: 'off', outcome: 'ok', latencyMs: 5, at: new Date('2026-11-24T13:00:00Z'), promptTokens: 5, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0, costUsdNanos: 600, estimated: false });
    await accountant.close();
    await expect(accountant.reserve({ access, tokens: 5, costUsdNanos: 401 })).rejects.toMatchObject({ code: 'quota_exceeded', details: { reason: 'budget_exhausted', limit: 'key.usd_total' } });
    await accountant.reserve({ access, tokens: 5, costUsdNanos: 400 });
    expect(await port.getModelUsage(ROOT, { groupBy: 'key', from: new Date('2026-11-24T13:00:00Z'), to: null, limit: 10 })).toMatchObject([{ key: 'metered', calls: 1, promptTokens: 5, costUsdNanos: 600 }]);
    await own.end();
    await expect(accountant.reserve({ access, tokens: 5, costUsdNanos: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    const cold = createKeyResolver({ find: (hash) => findLiveModelKey(own, hash), now: Date.now });
    await expect(cold.resolve(secret)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
