import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RunCommit } from '@openeaap/kernel';
import { PlatformError, randomIds } from '@openeaap/kernel';
import type { OrchestratorNode, RunStore } from '@openeaap/orchestrator';
import { startNode } from '@openeaap/orchestrator';
import { createLatch, until } from './harness/latch.ts';
import { first } from './harness/first.ts';
import type { World } from './harness/world.ts';
import { answer, call, calls, createWorld, script } from './harness/world.ts';

let world: World;
const nodes: OrchestratorNode[] = [];

beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop(0);
  await world.close();
});

const start = async (store: Partial<RunStore> = {}, options: { readonly deadAfterMs?: number; readonly concurrentRuns?: number } = {}): Promise<OrchestratorNode> => {
  const node = await startNode(
    { ...world.deps, store: { ...world.store, ...store } },
    { nodeId: randomIds.newId(), host: 'test', pid: 1, version: '1', roles: ['orchestrator'], drives: true, heartbeatMs: 20, deadAfterMs: 60_000, pollMs: 10, ...options },
  );
  nodes.push(node);
  return node;
};

const commitOf = (lease: RunCommit['lease'], rest: Partial<RunCommit> = {}): RunCommit => ({
  lease,
  commitNo: 0,
  expectSignalNo: null,
  to: null,
  steps: [],
  events: [{ type: 'step_thought', data: { content: 'x', step: 1 } }],
  audit: [],
  journal: [],
  openApprovals: [],
  expireApprovals: [],
  usage: [],
  settlements: [],
  ...rest,
});

describe('R2: one owner', () => {
  test('R2: a zombie writes nothing: its epoch is old', async () => {
    const runId = await world.accept();
    const zombie = await world.node();
    const old = first(await zombie.claim());
    await zombie.die();
    const heir = await world.node();
    const taken = first(await heir.claim());
    expect(taken.lease).toMatchObject({ runId, epoch: 2, nodeId: heir.id });
    const before = await world.events(runId);
    expect(await world.store.commitRun(commitOf(old.lease))).toEqual({ kind: 'fenced' });
    expect(await world.store.commitRun(commitOf({ ...taken.lease, nodeId: zombie.id }))).toEqual({ kind: 'fenced' });
    expect(await world.store.commitRun(commitOf({ ...taken.lease, epoch: 1 }))).toEqual({ kind: 'fenced' });
    expect(await world.events(runId)).toEqual(before);
    expect(await world.store.commitRun(commitOf(taken.lease))).toMatchObject({ kind: 'committed' });
  });

  test('R2: a zombie that comes back in the middle of a run makes no further call', async () => {
    const entered = createLatch();
    const leave = createLatch();
    world.think = script(calls(call('look_up')), calls(call('block_ip', { ip: '10.0.0.1' })), answer('finished'));
    world.tools.on('look_up', async () => {
      entered.open();
      await leave.opened;
      return { ok: true };
    });
    const runId = await world.accept();
    const zombie = await world.node();
    const driven = zombie.drive(first(await zombie.claim()));
    await entered.opened;
    await zombie.die();
    world.tools.on('look_up', async () => ({ ok: true }));
    await (await world.node()).work();
    leave.open();
    await driven;
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(world.logged.some(({ message }) => message === 'lost the lease of a run')).toBe(true);
  });

  test('R2: a run of a living node is not taken; of a dead or stopped one it is, and the run says so', async () => {
    const runId = await world.accept();
    const owner = await world.node();
    const other = await world.node();
    await owner.claim();
    expect(await other.claim()).toEqual([]);
    expect(await owner.claim([runId])).toEqual([]);
    await owner.die();
    expect(await other.claim()).toMatchObject([{ run: { id: runId } }]);
    expect((await world.events(runId)).at(-1)).toMatchObject({ type: 'run_resumed', data: { reason: 'node_lost', lost_node: owner.id } });
    await world.store.stopNode(other.id);
    expect(await (await world.node()).claim()).toMatchObject([{ lease: { epoch: 3 } }]);
  });

  test('R2: runs of a dead node do not wait behind what is due', async () => {
    const orphan = await world.accept();
    const dead = await world.node();
    await dead.claim();
    await dead.die();
    for (let n = 0; n < 5; n += 1) await world.accept(`task ${n}`);
    const node = await world.node();
    expect(await node.claim([], 2)).toMatchObject([{ run: { id: orphan } }, {}]);
  });

  test('R2: a run is claimed by one of many who claim at once', async () => {
    for (let n = 0; n < 30; n += 1) await world.accept(`task ${n}`);
    const claimers = await Promise.all(Array.from({ length: 6 }, () => world.node()));
    const taken = (await Promise.all(claimers.map((node) => node.claim()))).flat();
    expect(taken).toHaveLength(30);
    expect(new Set(taken.map(({ run }) => run.id)).size).toBe(30);
  });

  test('R2: a claim whose answer was lost is made again by the same node', async () => {
    let lost = 0;
    const claimDue: RunStore['claimDue'] = async (claim) => {
      const claimed = await world.store.claimDue(claim);
      if (claimed.runs.length === 0 || lost > 0) return claimed;
      lost += 1;
      throw new PlatformError('unavailable', 'The answer was lost.');
    };
    await start({ claimDue });
    const runId = await world.accept();
    await until('the run completed', async () => (await world.run(runId)).status === 'completed');
    expect(lost).toBe(1);
  });

  test('R2: a node that cannot beat lets go in time, and takes its runs up again when it can', async () => {
    const entered = createLatch();
    let aborted = false;
    let away = false;
    world.tools.on('look_up', (_call, context) => {
      entered.open();
      if (!away && aborted) return Promise.resolve({ ok: true });
      return new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => { aborted = true; reject(new Error('aborted')); }, { once: true }));
    });
    world.think = script(calls(call('look_up')), answer('finished'));
    const node = await start({ beatNode: (id) => (away ? Promise.reject(new PlatformError('unavailable', 'away')) : world.store.beatNode(id)) }, { deadAfterMs: 100 });
    const runId = await world.accept();
    await entered.opened;
    away = true;
    await until('the node let go', () => !node.alive() && node.runsInHand() === 0);
    expect(aborted).toBe(true);
    expect(await world.run(runId)).toMatchObject({ status: 'running' });
    away = false;
    await until('the run completed', async () => (await world.run(runId)).status === 'completed');
    expect(node.alive()).toBe(true);
  });

  test('R2: a database that hangs looks like one that is gone', async () => {
    let hangs = false;
    const node = await start({ beatNode: (id) => (hangs ? new Promise(() => undefined) : world.store.beatNode(id)) }, { deadAfterMs: 120 });
    hangs = true;
    await until('the node noticed', () => !node.alive());
    expect(node.alive()).toBe(false);
  });

  test('R2: a node that was declared dead claims nothing more', async () => {
    const node = await start();
    await world.store.stopNode(node.id);
    await until('the node noticed', () => !node.alive());
    const runId = await world.accept();
    node.wake();
    const heir = await start();
    await until('another node did it', async () => (await world.run(runId)).status === 'completed');
    expect(heir.alive()).toBe(true);
  });

  test('R2: a node takes no more runs than it may, and every run gets its turn', async () => {
    let now = 0;
    let most = 0;
    world.think = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      return { thought: '', calls: [], output: 'done' };
    };
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => world.accept(`task ${n}`)));
    await start({}, { concurrentRuns: 3 });
    await until('all completed', async () => (await world.count(`SELECT count(*) AS n FROM runs WHERE status = 'completed'`)) === ids.length);
    expect(most).toBeLessThanOrEqual(3);
  });

  test('R2: a node that stops begins nothing more, writes down what was under way, and leaves the rest', async () => {
    const entered = createLatch();
    const leave = createLatch();
    world.think = script(calls(call('block_ip', { ip: '10.0.0.1' })), answer('finished'));
    world.tools.on('block_ip', async () => {
      entered.open();
      await leave.opened;
      return { blocked: true };
    });
    const runId = await world.accept();
    const node = await start();
    await entered.opened;
    const stopped = node.stop(10_000);
    leave.open();
    await stopped;
    expect(await world.run(runId)).toMatchObject({ status: 'running' });
    expect(await world.steps(runId)).toMatchObject([{}, { kind: 'act', status: 'done', result: { blocked: true } }]);
    await (await world.node()).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R2: a node that cannot wait for what is under way lets go of it', async () => {
    const entered = createLatch();
    world.think = script(calls(call('look_up')), answer('finished'));
    world.tools.on('look_up', () => { entered.open(); return new Promise(() => undefined); });
    const runId = await world.accept();
    const node = await start();
    await entered.opened;
    await node.stop(0);
    world.tools.on('look_up', async () => ({ ok: true }));
    await (await world.node()).work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });
});
