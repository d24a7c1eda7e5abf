import type { Socket } from 'node:net';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActStep, AuditFact, ClaimedRun, NewApproval, RunCommit } from '@openeaap/kernel';
import { randomIds } from '@openeaap/kernel';
import { chainRows, createToAuditRow, genesisHash } from '@openeaap/audit';
import { createMasker } from '@openeaap/security';
import * as sql from '@openeaap/store';
import { first } from './harness/first.ts';
import { until } from './harness/latch.ts';
import type { TestNode, World } from './harness/world.ts';
import { TENANT, createWorld } from './harness/world.ts';

let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
});
afterEach(() => world.close());

async function claimed(n = 1): Promise<readonly ClaimedRun[]> {
  for (let i = 0; i < n; i += 1) await world.accept(`task ${i}`);
  return node.claim([], n);
}

const fact = (runId: string, stepNo = 1): AuditFact => ({
  tenantId: TENANT, runId, traceId: 't', actor: 'user:alice', action: 'tool_call', phase: 'event', decision: null, outcome: null, rule: null, stepNo, metadata: { n: stepNo }, input: null, output: null,
});

const act = (no: number, rest: Partial<ActStep> = {}): ActStep => ({
  kind: 'act', no, id: randomIds.newId(), policyVersion: 'p1', agentVersion: '1', startedAt: new Date(), finishedAt: null, thinkNo: 0, callId: 'c', tool: 'look_up', args: {}, decision: null, approvalId: null,
  status: 'intended', attempts: 0, lineage: [], result: null, suspicious: false, error: null, ...rest,
});

const approval = (rest: Partial<NewApproval> = {}): NewApproval => ({
  id: randomIds.newId(), stepNo: 1, kind: 'gate', tool: 'block_ip', args: {}, callHash: 'h', rule: 'r', reason: 'why', requesterId: 'alice', policyVersion: 'p1', approvers: ['*'], timeoutMs: 60_000, forbidRequester: false, minApprovals: 1, escalation: [], ...rest,
});

const commitOf = (run: ClaimedRun, rest: Partial<RunCommit> = {}): RunCommit => ({
  lease: run.lease,
  commitNo: 0,
  expectSignalNo: null,
  to: null,
  steps: [act(1)],
  events: [{ type: 'step_thought', data: { content: 'x', step: 1 } }],
  audit: [fact(run.run.id)],
  journal: [],
  openApprovals: [],
  expireApprovals: [],
  usage: [{ stepNo: 1, backend: 'b', usage: { promptTokens: 1, completionTokens: 2, costUsdMicros: 3 } }],
  settlements: [],
  ...rest,
});

/** The streams of the connections that are made from now on. */
function watchStreams(): Socket[] {
  const streams: Socket[] = [];
  world.pool.on('connect', (client) => streams.push((client as unknown as { connection: { stream: Socket } }).connection.stream));
  return streams;
}

/** Everything that a commit writes, counted. */
const written = async (runId: string): Promise<object> => ({
  steps: (await world.steps(runId)).length,
  events: (await world.events(runId)).length,
  audit: (await world.audit(runId)).length,
  usage: await world.count('SELECT count(*) AS n FROM usage WHERE run_id = $1', [runId]),
  approvals: (await world.approvals(runId)).length,
});
const NOTHING = { steps: 0, events: 2, audit: 0, usage: 0, approvals: 0 };
const ALL = { steps: 1, events: 3, audit: 1, usage: 1, approvals: 0 };

describe('R3: one transition, one transaction', () => {
  test.each<[string, Partial<RunCommit>]>([
    ['an approval', { openApprovals: [approval({ kind: 'neither' as never })] }],
    ['a second approval of one step', { openApprovals: [approval(), approval()] }],
    ['a step', { steps: [act(1), act(2, { tool: 'x'.repeat(300) })] }],
    ['an event', { events: [{ type: 'x'.repeat(60) as never, data: {} }] }],
    ['the usage', { usage: [{ stepNo: 1, backend: 'x'.repeat(300), usage: { promptTokens: 1, completionTokens: 1, costUsdMicros: 0 } }] }],
    ['an audit row', { audit: [{ ...fact('not-a-uuid') }] }],
    ['what is no JSON', { steps: [act(1, { args: { n: 1n as never } })] }],
  ])('R3: when %s cannot be stored nothing of the commit is', async (_what, broken) => {
    const run = first(await claimed());
    await expect(world.store.commitRun(commitOf(run, broken))).rejects.toMatchObject({ code: 'internal' });
    expect(await written(run.run.id)).toEqual(NOTHING);
    expect(await world.run(run.run.id)).toMatchObject({ status: 'running', stepCount: 0, lastSeq: 2, usage: { promptTokens: 0 } });
    expect(await world.store.commitRun(commitOf(run))).toMatchObject({ kind: 'committed', lastSeq: 3 });
    expect(await written(run.run.id)).toEqual(ALL);
  });

  test('R3: the same commit sent twice is written once, and answered twice', async () => {
    const run = first(await claimed());
    const commit = commitOf(run);
    const answered = await world.store.commitRun(commit);
    expect(await world.store.commitRun(commit)).toEqual(answered);
    expect(await Promise.all([world.store.commitRun(commit), world.store.commitRun(commit)])).toEqual([answered, answered]);
    expect(await written(run.run.id)).toEqual(ALL);
    expect(await world.store.commitRun({ ...commit, commitNo: 5 })).toEqual({ kind: 'fenced' });
  });

  test('R3: an end that was written is answered again; what comes after it is fenced', async () => {
    const run = first(await claimed());
    const end = commitOf(run, { to: { status: 'completed', output: 'x' }, expectSignalNo: 0 });
    const answered = await world.store.commitRun(end);
    expect(await world.store.commitRun(end)).toEqual(answered);
    expect(await world.store.commitRun(commitOf(run, { commitNo: 1 }))).toEqual({ kind: 'fenced' });
  });

  test('R2, R3: one refused fence in a group does not harm the others', async () => {
    const runs = await claimed(40);
    const zombies = new Set([3, 17, 39]);
    const results = await Promise.all(runs.map((run, n) => world.store.commitRun(commitOf(run, zombies.has(n) ? { lease: { ...run.lease, epoch: 0 } } : {}))));
    expect(results.map(({ kind }) => kind)).toEqual(runs.map((_, n) => (zombies.has(n) ? 'fenced' : 'committed')));
    for (const [n, run] of runs.entries()) expect(await written(run.run.id)).toEqual(zombies.has(n) ? NOTHING : ALL);
  });

  test('R3: one poisoned commit in a group does not harm the others', async () => {
    const runs = await claimed(10);
    const poison: Partial<RunCommit> = { steps: [act(1, { result: { n: 1n as never } })] };
    const results = await Promise.allSettled(runs.map((run, n) => world.store.commitRun(commitOf(run, n === 4 ? poison : {}))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(9);
    expect(results[4]).toMatchObject({ status: 'rejected', reason: { code: 'internal' } });
  });

  test('R3: a commit that wants no unread signal is refused whole when there is one', async () => {
    const run = first(await claimed());
    await world.store.requestCancel({ tenantId: TENANT, runId: run.run.id, by: 'alice', reason: null });
    const pause = commitOf(run, { expectSignalNo: 0, to: { status: 'paused', reason: 'approval', wakeAt: null } });
    expect(await world.store.commitRun(pause)).toEqual({ kind: 'signalled' });
    expect(await written(run.run.id)).toEqual(NOTHING);
    expect(await world.store.commitRun(commitOf(run))).toMatchObject({ kind: 'committed', signalNo: 1 });
  });

  test('R3: connections that are cut lose nothing, double nothing and do not break the audit chain', async () => {
    const runs = await claimed(30);
    const commits = runs.flatMap((run) => [0, 1, 2].map((commitNo) => ({ run, commitNo })));
    const chains = runs.map(async (run) => {
      for (const { commitNo } of commits.filter((item) => item.run === run)) {
        const result = await world.store.commitRun(commitOf(run, { commitNo, steps: [act(commitNo + 1)], usage: [] }));
        expect(result).toMatchObject({ kind: 'committed', lastSeq: 3 + commitNo });
      }
    });
    for (let n = 0; n < 8; n += 1) await world.cutConnections();
    await Promise.all(chains);
    for (const run of runs) expect(await written(run.run.id)).toEqual({ steps: 3, events: 5, audit: 3, usage: 0, approvals: 0 });
    expect(await world.verify()).toMatchObject({ ok: true, rows: 90 });
  });

  test('L1: a group is sent behind the one that the database is at, and is written after it', async () => {
    const runs = await claimed(64);
    const streams = watchStreams();
    await world.cutConnections();
    const locker = new Client({ connectionString: world.url });
    await locker.connect();
    await locker.query('BEGIN');
    await locker.query('SELECT 1 FROM runs WHERE id = $1 FOR UPDATE', [first(runs).run.id]);
    const sentBytes = (): number => streams.reduce((sum, stream) => sum + stream.bytesWritten, 0);
    const ahead = runs.slice(0, 1).map((run) => world.store.commitRun(commitOf(run)));
    await until('the first group waits', async () => Number((await world.pool.query<{ n: string }>(`SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).rows[0]?.n) === 1);
    const before = sentBytes();
    const behind = runs.slice(1).map((run) => world.store.commitRun(commitOf(run)));
    await until('the second group is sent', () => Promise.resolve(sentBytes() - before > 63 * 300));
    for (const run of runs) expect(await written(run.run.id)).toEqual(NOTHING);
    await locker.query('COMMIT');
    await locker.end();
    expect((await Promise.all([...ahead, ...behind])).every(({ kind }) => kind === 'committed')).toBe(true);
    expect(await world.verify()).toMatchObject({ ok: true, rows: 64, chains: 1 });
  });

  test.each([
    ['in the first group', [5]],
    ['in the second group', [70]],
    ['in every group', [0, 31, 63, 64, 99, 119]],
  ])('L1, L2: a fence that is refused %s leaves the groups behind it whole and the chain without a hole', async (_where, zombies) => {
    const runs = await claimed(120);
    const results = await Promise.all(runs.map((run, n) => world.store.commitRun(commitOf(run, zombies.includes(n) ? { lease: { ...run.lease, epoch: 0 } } : {}))));
    expect(results.map(({ kind }) => kind)).toEqual(runs.map((_, n) => (zombies.includes(n) ? 'fenced' : 'committed')));
    for (const [n, run] of runs.entries()) expect(await written(run.run.id)).toEqual(zombies.includes(n) ? NOTHING : ALL);
    expect(await world.verify()).toMatchObject({ ok: true, rows: 120 - zombies.length, chains: 1 });
  });

  test('L1, L3: connections that are cut while several groups are under way lose nothing and double nothing', async () => {
    const runs = await claimed(120);
    const chains = runs.map(async (run, n) => {
      for (const commitNo of [0, 1, 2]) {
        expect(await world.store.commitRun(commitOf(run, { commitNo, steps: [act(commitNo + 1)], usage: [] }))).toMatchObject({ kind: 'committed', lastSeq: 3 + commitNo });
        if (n % 40 === 0) await world.lane.withAudit([fact(run.run.id, 9)], sql.appendAudit).catch(() => undefined);
      }
    });
    for (let n = 0; n < 12; n += 1) await world.cutConnections();
    await Promise.all(chains);
    for (const run of runs) expect(await written(run.run.id)).toMatchObject({ steps: 3, events: 5 });
    const { ok, rows } = await world.verify();
    expect(ok).toBe(true);
    expect(rows).toBeGreaterThanOrEqual(360);
  });

  test('R3: a statement that goes on after its connection is lost is neither doubled nor forks the chain', async () => {
    const [run, other] = await claimed(2);
    const sockets = watchStreams();
    await world.cutConnections();
    const [locker, watcher] = [new Client({ connectionString: world.url }), new Client({ connectionString: world.url })];
    await Promise.all([locker.connect(), watcher.connect()]);
    const blocked = async (n: number): Promise<boolean> =>
      Number((await watcher.query<{ n: string }>(`SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).rows[0]?.n) === n;
    await locker.query('BEGIN');
    await locker.query('SELECT 1 FROM runs WHERE id = $1 FOR UPDATE', [run?.run.id]);
    const answered = world.store.commitRun(commitOf(first([run, other].flatMap((item) => item ?? []))));
    await until('the commit waits', () => blocked(1));
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('it was sent again while the first still runs', () => blocked(2));
    await locker.query('COMMIT');
    expect(await answered).toMatchObject({ kind: 'committed', lastSeq: 3 });
    await Promise.all([locker.end(), watcher.end()]);
    expect(await world.store.commitRun(commitOf(first([other].flatMap((item) => item ?? []))))).toMatchObject({ kind: 'committed' });
    expect(await world.verify()).toMatchObject({ ok: true, rows: 2, chains: 1 });
  });

  test('R3: the chain goes on after refusals of every kind', async () => {
    const run = first(await claimed());
    await expect(world.store.commitRun(commitOf(run, { openApprovals: [approval(), approval()] }))).rejects.toThrow('refused a statement');
    await world.store.commitRun(commitOf(run, { lease: { ...run.lease, epoch: 9 } }));
    expect(await world.lane.withAudit([fact(run.run.id)], async () => null)).toBeNull();
    await expect(world.lane.withAudit([fact(run.run.id)], () => Promise.reject(new Error('no')))).rejects.toMatchObject({ code: 'unavailable' });
    await world.lane.withAudit([fact(run.run.id, 2)], sql.appendAudit);
    await world.store.commitRun(commitOf(run));
    expect(await world.verify()).toMatchObject({ ok: true, rows: 2, chains: 1 });
  });

  test('R3: what is audited and its audit row are written both or neither', async () => {
    const run = first(await claimed());
    const count = (): Promise<number> => world.count(`SELECT count(*) AS n FROM users WHERE user_id = 'new'`);
    const put = (db: sql.Queryable): Promise<void> => sql.putUser(db, { tenantId: 'acme', userId: 'new', groups: [], clearance: 1 });
    expect(await world.lane.withAudit([fact(run.run.id)], (db) => put(db).then(() => null))).toBeNull();
    await expect(world.lane.withAudit([fact(run.run.id)], (db) => put(db).then(() => Promise.reject(new Error('no'))))).rejects.toMatchObject({ code: 'unavailable' });
    expect(await count()).toBe(0);
    await world.lane.withAudit([fact(run.run.id)], (db, rows) => put(db).then(() => sql.appendAudit(db, rows)));
    expect(await count()).toBe(1);
    expect(await world.verify()).toMatchObject({ ok: true, rows: 1 });
  });

  test('R3: an audited transaction whose connection is lost leaves nothing, and the next row is not its twin', async () => {
    const run = first(await claimed());
    const lost = world.lane.withAudit([fact(run.run.id)], async (db, rows) => {
      await sql.appendAudit(db, rows);
      await world.cutConnections();
      return true;
    });
    await expect(lost).rejects.toMatchObject({ code: 'unavailable' });
    await world.lane.withAudit([fact(run.run.id, 2)], sql.appendAudit);
    expect(await world.verify()).toMatchObject({ ok: true, rows: 1, chains: 1 });
  });

  test('a lane that is given an old chain continues it', async () => {
    const run = first(await claimed());
    await world.store.commitRun(commitOf(run));
    const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
    const { clock } = world.deps;
    const next = sql.createCommitLane({
      pool: world.pool,
      chainId: world.lane.head().chainId,
      toAuditRow: createToAuditRow({ masker: () => masker, clock, ids: randomIds }),
      chain: (head, rows) => chainRows(head, rows),
      genesis: genesisHash,
      clock,
    });
    await next.withAudit([fact(run.run.id)], sql.appendAudit);
    await next.close();
    expect(await world.verify()).toMatchObject({ ok: true, rows: 2, chains: 1 });
  });

  test('the lane never leaves a commit lying, however soon the next one follows an answer', async () => {
    const run = first(await claimed());
    for (let commitNo = 0; commitNo < 40; commitNo += 1) {
      // Between the answer and the next commit lie more and more turns of the queue of promises.
      for (let turn = 0; turn < commitNo; turn += 1) await Promise.resolve();
      await world.store.commitRun(commitOf(run, { commitNo, steps: [], usage: [] }));
    }
    expect(await world.run(run.run.id)).toMatchObject({ lastSeq: 42 });
  });

  test('a lane that closes writes what it has accepted and refuses what comes later', async () => {
    const runs = await claimed(5);
    const accepted = runs.map((run) => world.store.commitRun(commitOf(run)));
    await world.lane.close();
    expect((await Promise.all(accepted)).every(({ kind }) => kind === 'committed')).toBe(true);
    await expect(world.store.commitRun(commitOf(first(runs), { commitNo: 1 }))).rejects.toMatchObject({ code: 'unavailable' });
  });
});
