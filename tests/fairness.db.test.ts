import type { ConcurrencyLimits, Priority } from '@openeaap/kernel';
import { NO_CONCURRENCY_LIMITS, randomIds } from '@openeaap/kernel';
import { claimDue, registerNode } from '@openeaap/store';
import { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase } from '../internal/store/src/testing/test-database.ts';
import type { TestDatabase } from '../internal/store/src/testing/test-database.ts';

/** Whose turn it is, on rows made by hand: what runs do is of no interest here. */
let database: TestDatabase;
let pool: Pool;
let nodeId: string;

beforeEach(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 8 });
  pool.on('error', () => undefined);
  nodeId = await addNode();
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

async function addNode(): Promise<string> {
  const id = randomIds.newId();
  await registerNode(pool, { id, host: 'h', pid: 1, version: '1', roles: ['orchestrator'] });
  return id;
}

async function addAgent(tenant: string, name: string): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(`INSERT INTO agents (tenant_id, name, version, configuration, status) VALUES ($1, $2, '1', '{}', 'published') RETURNING id`, [tenant, name]);
  return rows[0]?.id ?? '';
}

interface Waiting {
  readonly tenant: string;
  readonly agent: string;
  readonly count: number;
  readonly status?: 'pending' | 'paused' | 'running';
  readonly priority?: Priority;
  /** Seconds since it became due; negative: still to come. */
  readonly dueFor?: number;
}

/** The name of a run is what it was added as, so that a test can say whose turn it was. */
async function add(name: string, waiting: Waiting): Promise<void> {
  const level = { low: 0, normal: 1, high: 2, urgent: 3 }[waiting.priority ?? 'normal'];
  await pool.query(
    `INSERT INTO runs (tenant_id, agent_id, user_id, trace_id, status, priority, source, node_id, wake_at)
     SELECT $1, $2, 'u', 't', $3::text, $4, $5, CASE WHEN $3::text = 'running' THEN $6::uuid END, CASE WHEN $3::text = 'running' THEN NULL ELSE now() - ($7 || ' seconds')::interval END FROM generate_series(1, $8::int)`,
    [waiting.tenant, waiting.agent, waiting.status ?? 'pending', level, name, nodeId, String(waiting.dueFor ?? 1), waiting.count],
  );
}

/** Names of the runs that one claim takes, counted. */
async function claim(limit: number, limits: ConcurrencyLimits = NO_CONCURRENCY_LIMITS, node = nodeId): Promise<Record<string, number>> {
  const { runs } = await claimDue(pool, { nodeId: node, limit, limits });
  const taken: Record<string, number> = {};
  for (const { run } of runs) taken[run.source] = (taken[run.source] ?? 0) + 1;
  return taken;
}

describe('whose turn it is', () => {
  test('a crowd of one tenant does not hold up another', async () => {
    await add('crowd', { tenant: 'big', agent: await addAgent('big', 'a'), count: 500, dueFor: 3_600 });
    await add('few', { tenant: 'small', agent: await addAgent('small', 'a'), count: 3 });
    expect(await claim(10)).toEqual({ crowd: 7, few: 3 });
  });

  test('what a tenant has running counts: the one with less running is first', async () => {
    const [one, two] = [await addAgent('one', 'a'), await addAgent('two', 'a')];
    await add('busy', { tenant: 'one', agent: one, count: 6, status: 'running' });
    await add('one', { tenant: 'one', agent: one, count: 50, dueFor: 60 });
    await add('two', { tenant: 'two', agent: two, count: 50 });
    expect(await claim(10)).toEqual({ one: 2, two: 8 });
  });

  test('agents of a tenant share alike, and one that has more running waits', async () => {
    const [chatty, quiet] = [await addAgent('t', 'chatty'), await addAgent('t', 'quiet')];
    await add('chatty', { tenant: 't', agent: chatty, count: 400, dueFor: 60 });
    await add('quiet', { tenant: 't', agent: quiet, count: 400 });
    expect(await claim(10)).toEqual({ chatty: 5, quiet: 5 });
    await add('more', { tenant: 't', agent: chatty, count: 10, status: 'running' });
    expect(await claim(10)).toEqual({ quiet: 10 });
  });

  test('the higher priority goes first, however long the lower one has waited; across tenants it takes nothing away', async () => {
    const [a, b] = [await addAgent('t', 'a'), await addAgent('other', 'a')];
    await add('low', { tenant: 't', agent: a, count: 5, priority: 'low', dueFor: 9_999 });
    await add('normal', { tenant: 't', agent: a, count: 5, dueFor: 99 });
    await add('high', { tenant: 't', agent: a, count: 2, priority: 'high' });
    await add('urgent', { tenant: 't', agent: a, count: 1, priority: 'urgent' });
    expect(await claim(4)).toEqual({ urgent: 1, high: 2, normal: 1 });
    await add('flood', { tenant: 'other', agent: b, count: 100, priority: 'urgent' });
    expect(await claim(8)).toEqual({ flood: 6, normal: 2 });
  });

  test('a run that a person has just decided about does not wait behind a backlog of new ones', async () => {
    const agent = await addAgent('t', 'a');
    await add('backlog', { tenant: 't', agent, count: 2_000, dueFor: 3_600 });
    await add('decided', { tenant: 't', agent, count: 1, status: 'paused', dueFor: 0 });
    expect(await claim(1)).toEqual({ decided: 1 });
  });

  test('within the same turn who has waited longest is first', async () => {
    const agent = await addAgent('t', 'a');
    await add('young', { tenant: 't', agent, count: 3, dueFor: 1 });
    await add('old', { tenant: 't', agent, count: 3, dueFor: 100 });
    expect(await claim(3)).toEqual({ old: 3 });
  });

  test('what is not due yet is left, and the claim says when it will be', async () => {
    const agent = await addAgent('t', 'a');
    await add('later', { tenant: 't', agent, count: 3, dueFor: -3_600 });
    const nothing = await claimDue(pool, { nodeId, limit: 10, limits: NO_CONCURRENCY_LIMITS });
    expect(nothing.runs).toEqual([]);
    expect(nothing.nextDueMs).toBeGreaterThan(3_500_000);
    expect(nothing.nextDueMs).toBeLessThanOrEqual(3_600_000);
    await add('now', { tenant: 't', agent, count: 1 });
    expect(await claimDue(pool, { nodeId, limit: 10, limits: NO_CONCURRENCY_LIMITS })).toMatchObject({ nextDueMs: 0, runs: [{}] });
  });

  test('a tenant never has more running than its limit, over all nodes that claim at once', async () => {
    const limits = { default: null, tenants: { capped: 7 } };
    const [capped, free] = [await addAgent('capped', 'a'), await addAgent('free', 'a')];
    await add('before', { tenant: 'capped', agent: capped, count: 2, status: 'running' });
    await add('capped', { tenant: 'capped', agent: capped, count: 200, dueFor: 60 });
    await add('free', { tenant: 'free', agent: free, count: 40 });
    const nodes = await Promise.all(Array.from({ length: 6 }, addNode));
    const taken = await Promise.all([...nodes, ...nodes].map((node) => claim(10, limits, node)));
    const sum = (name: string): number => taken.reduce((total, each) => total + (each[name] ?? 0), 0);
    expect([sum('capped'), sum('free')]).toEqual([5, 40]);
    await pool.query(`UPDATE runs SET status = 'completed' WHERE source = 'before'`);
    expect(await claim(50, limits)).toEqual({ capped: 2 });
  });

  test('a limit for all holds for who is not named', async () => {
    const agent = await addAgent('t', 'a');
    await add('run', { tenant: 't', agent, count: 9 });
    expect(await claim(50, { default: 4, tenants: { other: 100 } })).toEqual({ run: 4 });
    expect(await claim(50, { default: 4, tenants: {} })).toEqual({});
    expect(await claim(50, { default: 4, tenants: { t: 6 } })).toEqual({ run: 2 });
  });

  test('a node that freezes in its turn does not stop the others for good', async () => {
    const agent = await addAgent('t', 'a');
    await add('run', { tenant: 't', agent, count: 1 });
    const frozen = await pool.connect();
    frozen.on('error', () => undefined);
    await frozen.query(`BEGIN; SET LOCAL idle_in_transaction_session_timeout = '300ms'; SELECT pg_advisory_xact_lock(hashtextextended('openeaap_claim', 0))`);
    expect(await claim(1)).toEqual({ run: 1 });
    frozen.release(true);
  });

  test('a claim looks at agents, not at every run that waits', async () => {
    const agents = await Promise.all(Array.from({ length: 20 }, (_, n) => addAgent('t', `a${n}`)));
    await Promise.all(agents.map((agent) => add('wait', { tenant: 't', agent, count: 1_000, status: 'paused', dueFor: -3_600 })));
    await add('due', { tenant: 't', agent: agents[7] ?? '', count: 1 });
    await pool.query('ANALYZE runs');
    const before = await scanned();
    expect(await claim(10)).toEqual({ due: 1 });
    // Statistics are sent when a session has been idle for a moment.
    await expect.poll(async () => (await scanned()) - before, { timeout: 15_000 }).toBeGreaterThan(0);
    expect((await scanned()) - before).toBeLessThan(2_000);
  }, 60_000);
});

/** Rows of `runs` that were read, by whatever way. */
async function scanned(): Promise<number> {
  await pool.query('SELECT pg_stat_force_next_flush()').catch(() => undefined);
  const { rows } = await pool.query<{ n: string }>(`SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) AS n FROM pg_stat_user_tables WHERE relname = 'runs'`);
  return Number(rows[0]?.n);
}
