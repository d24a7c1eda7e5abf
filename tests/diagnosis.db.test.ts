import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '@openeaap/kernel';
import type { Migration, Queryable } from '@openeaap/store';
import { listIdleTransactions, migrations, noteClock } from '@openeaap/store';
import { diagnose, measureClock } from '@openeaap/server';
import type { World } from './harness/world.ts';
import { call, calls, createWorld, script } from './harness/world.ts';
import { gateTools } from './harness/scripted-policy.ts';

let world: World;
let dataDir: string;
beforeEach(async () => {
  world = await createWorld();
  dataDir = await mkdtemp(path.join(tmpdir(), 'diagnosis-'));
});
afterEach(() => world.close());

async function look(over: { readonly db?: Queryable; readonly migrations?: readonly Migration[]; readonly clock?: typeof systemClock } = {}) {
  const checks = await diagnose({ db: world.pool, migrations, clock: systemClock, dataDir, isEmbedded: true, ...over });
  expect(checks.filter(({ status, cure }) => (status === 'ok') !== (cure === null)), 'a cure exactly where something is wrong').toEqual([]);
  expect(checks.filter(({ summary }) => summary.includes('\n')), 'one line').toEqual([]);
  const byName = new Map(checks.map((check) => [check.name, check]));
  expect(byName.size).toBe(checks.length);
  return { checks, of: (name: string) => byName.get(name) ?? { status: 'missing', summary: '', cure: null } };
}

const backdate = (text: string, ...values: readonly unknown[]) => world.pool.query(text, [...values]);

describe('a diagnosis', () => {
  test('of a healthy installation finds nothing but the settings of the test server', async () => {
    const node = await world.node();
    await world.accept();
    await node.work();
    const { checks, of } = await look();
    expect(checks.filter(({ status }) => status !== 'ok').map(({ name }) => name)).toEqual(['durability']);
    expect(of('durability')).toMatchObject({ status: 'warning', summary: expect.stringContaining('fsync=off: a crash of the machine can destroy the whole database') });
    expect(of('migrations').summary).toBe(`${migrations.length} applied, none pending`);
    expect(of('nodes').summary).toContain('1 alive');
    expect(of('archive').summary).toMatch(/^the oldest run that is still here ended [\d.]+ (ms|s) ago$/);
  });

  test('tells runs that are due and that no node takes', async () => {
    const runId = await world.accept();
    await backdate(`UPDATE runs SET wake_at = now() - interval '2 minutes'`);
    expect((await look()).of('runs_due')).toMatchObject({ status: 'warning', summary: expect.stringContaining(runId) });
    await backdate(`UPDATE runs SET wake_at = now() - interval '20 minutes'`);
    const { of } = await look();
    expect(of('runs_due')).toMatchObject({ status: 'problem', summary: expect.stringMatching(/^1 run due and taken by no node, the longest for 20 min/) });
    expect(of('nodes')).toMatchObject({ status: 'problem', summary: expect.stringContaining('none is alive') });
  });

  test('tells a dead node that still owns runs, and a run that has not committed for long', async () => {
    const node = await world.node();
    const other = await world.node();
    const runId = await world.accept();
    expect(await node.claim()).toHaveLength(1);
    expect((await look()).of('nodes')).toMatchObject({ status: 'ok' });
    await backdate(`UPDATE nodes SET heartbeat_at = now() - interval '10 seconds' WHERE id = $1`, node.id);
    expect((await look()).of('nodes')).toMatchObject({ status: 'warning', summary: expect.stringContaining('1 run of dead nodes not taken over for 10 s') });
    await node.die();
    expect((await look()).of('nodes')).toMatchObject({ status: 'problem' });
    await backdate(`UPDATE run_events SET created_at = now() - interval '6 minutes' WHERE run_id = $1`, runId);
    expect((await look()).of('runs_running')).toMatchObject({ status: 'warning', summary: expect.stringContaining(runId) });
    await backdate(`UPDATE run_events SET created_at = now() - interval '6 hours' WHERE run_id = $1`, runId);
    expect((await look()).of('runs_running')).toMatchObject({ status: 'problem', summary: expect.stringContaining('6 h') });
    await world.store.beatNode(other.id);
  });

  test('tells approvals that wait for long, and runs that wait for nothing', async () => {
    world.policy.decide = gateTools(['block_ip']);
    world.think = script(calls(call('block_ip', { ip: '1.2.3.4' })), { output: 'done' });
    const node = await world.node();
    const runId = await world.accept();
    await node.work();
    const [approval] = await world.approvals(runId);
    expect((await look()).of('approvals')).toMatchObject({ status: 'ok', summary: '1 pending, none past half of its time' });
    await backdate(`UPDATE approvals SET created_at = now() - interval '40 minutes', expires_at = now() + interval '20 minutes'`);
    expect((await look()).of('approvals')).toMatchObject({ status: 'warning', summary: expect.stringContaining(`${approval?.id ?? ''} expires in 20 min`) });
    await backdate(`UPDATE approvals SET expires_at = now() - interval '20 minutes'`);
    expect((await look()).of('approvals')).toMatchObject({ status: 'problem' });
    expect((await look()).of('runs_paused')).toMatchObject({ status: 'ok' });
    await backdate(`UPDATE approvals SET status = 'cancelled'; `);
    await backdate(`UPDATE runs SET wake_at = NULL`);
    expect((await look()).of('runs_paused')).toMatchObject({ status: 'problem', summary: expect.stringContaining(runId) });
  });

  test('tells clocks that differ, of this node and of the nodes among each other', async () => {
    const ahead = { ...systemClock, now: () => new Date(Date.now() + 7_000) };
    const { aheadMs } = await measureClock(world.pool, ahead);
    expect(aheadMs).toBeGreaterThan(6_900);
    expect((await look({ clock: ahead })).of('clock')).toMatchObject({ status: 'problem', summary: expect.stringContaining('7 s ahead of the database') });
    const [one, two] = [await world.node(), await world.node()];
    await noteClock(world.pool, one.id, -400);
    await noteClock(world.pool, two.id, 400);
    expect((await look()).of('clock')).toMatchObject({ status: 'warning', summary: expect.stringContaining('2 nodes within 800 ms of each other') });
    await two.die();
    expect((await look()).of('clock'), 'a dead clock is nobody’s').toMatchObject({ status: 'ok' });
  });

  test('tells audit rows that nobody signs, and a partition that is missing', async () => {
    const node = await world.node();
    await world.pool.query(`INSERT INTO audit_logs (action_type, chain_id, chain_seq, prev_hash, row_hash, created_at) VALUES ('run_status', $1, 1, '', '', now() - interval '2 minutes')`, [node.id]);
    expect((await look()).of('audit_signatures')).toMatchObject({ status: 'problem', summary: expect.stringContaining(`1 row of 1 chain not signed: ${node.id}`) });
    const { rows } = await world.pool.query<{ part: string }>(`SELECT 'audit_logs_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM') AS part`);
    await world.pool.query(`DROP TABLE ${rows[0]?.part ?? ''}`);
    expect((await look()).of('audit_partitions').status).not.toBe('ok');
    await world.pool.query('SELECT openeaap_ensure_audit_partition((now() + interval \'1 month\')::date)');
    expect((await look()).of('audit_partitions')).toMatchObject({ status: 'ok' });
    // The row above is no link of a chain.
    await world.pool.query(`DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', p); END LOOP; END $$`);
    await world.pool.query('DELETE FROM audit_logs WHERE chain_id = $1', [node.id]);
  });

  test('tells a transaction that idles, and not what it said', async () => {
    const session = await world.pool.connect();
    await session.query('BEGIN');
    await session.query(`SELECT 'a secret'`);
    const idle = await listIdleTransactions(world.pool, 0);
    expect(idle).toHaveLength(1);
    expect(JSON.stringify(idle)).not.toContain('secret');
    await session.query('ROLLBACK');
    session.release();
    expect(await listIdleTransactions(world.pool, 0)).toEqual([]);
    expect((await look()).of('idle_transactions')).toMatchObject({ status: 'ok' });
  });

  test('tells what a program of another version finds', async () => {
    const next: Migration = { number: migrations.length + 1, name: 'next', sql: 'SELECT 1' };
    expect((await look({ migrations: [...migrations, next] })).of('migrations')).toMatchObject({ status: 'warning', summary: expect.stringContaining(`pending: ${next.number}`) });
    expect((await look({ migrations: migrations.slice(0, 1) })).of('migrations')).toMatchObject({ status: 'problem', summary: expect.stringContaining('newer than this program') });
    expect((await look({ migrations: [...migrations.slice(0, -1), { ...(migrations.at(-1) as Migration), sql: 'SELECT 2' }] })).of('migrations')).toMatchObject({ status: 'problem', summary: expect.stringContaining('another text') });
  });

  test('of a database that is away says so once, and is over', async () => {
    const gone = new pg.Pool({ host: '127.0.0.1', port: 1, max: 1, connectionTimeoutMillis: 2_000 });
    const { checks } = await look({ db: gone });
    expect(checks.map(({ name, status }) => [name, status])).toEqual([['postgresql', 'problem'], ['disk', 'ok']]);
    await gone.end();
  });

  test('of a database that never answers is over in seconds', async () => {
    const hangs = { query: () => new Promise(() => undefined) } as unknown as Queryable;
    const hurried = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(50, signal) };
    const { of } = await look({ db: hangs, clock: hurried });
    expect(of('postgresql')).toMatchObject({ status: 'problem', summary: expect.stringContaining('no answer within 10 s') });
  });
});
