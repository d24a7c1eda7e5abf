import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cancelRun } from '@openeaap/orchestrator';
import { createLatch } from './harness/latch.ts';
import { first } from './harness/first.ts';
import type { TestNode, World } from './harness/world.ts';
import { TENANT, answer, call, calls, createWorld, script } from './harness/world.ts';

let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
});
afterEach(() => world.close());

const cancel = (runId: string, reason: string | null = 'enough'): Promise<void> => cancelRun({ tenantId: TENANT, runId, by: 'alice', reason }, world.deps);
const endOf = async (runId: string) => (await world.events(runId)).at(-1);

/** Drives a run until `entered`, cancels it there, and lets it end. */
async function cancelAt(runId: string, entered: Promise<void>): Promise<void> {
  const interrupt = new AbortController();
  const driven = node.drive(first(await node.claim()), { interrupt });
  await entered;
  await cancel(runId);
  interrupt.abort();
  await driven;
}

describe('R7: cancel is durable', () => {
  test('R7: a run that nobody has claimed is cancelled without a think', async () => {
    const runId = await world.accept();
    await cancel(runId);
    let thought = false;
    world.think = () => { thought = true; return { thought: '', calls: [], output: 'x' }; };
    await node.work();
    expect(thought).toBe(false);
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled', message: 'Cancelled by alice: enough' } });
    expect(await endOf(runId)).toMatchObject({ type: 'run_cancelled', data: { by: 'alice', reason: 'enough', done: [], uncertain: [] } });
  });

  test.each([['heeds', true], ['ignores', false]])('R7: cancelled while thinking, the model call is aborted; a runtime that %s its signal holds nothing', async (_name, heeds) => {
    const entered = createLatch();
    let aborted = false;
    world.think = (_request, context) =>
      new Promise((_resolve, reject) => {
        entered.open();
        context.signal.addEventListener('abort', () => {
          aborted = true;
          if (heeds) reject(new DOMException('aborted', 'AbortError'));
        });
      });
    const runId = await world.accept();
    await cancelAt(runId, entered.opened);
    expect(aborted).toBe(true);
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled', usage: { promptTokens: 10 } });
  });

  test('R7: an interrupt without a cancellation does not end the run and does not make it spin', async () => {
    const entered = createLatch();
    let thinks = 0;
    world.think = (_request, context) => {
      thinks += 1;
      if (thinks > 1) return { thought: '', calls: [], output: 'done' };
      return new Promise((_resolve, reject) => {
        entered.open();
        context.signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      });
    };
    const runId = await world.accept();
    const interrupt = new AbortController();
    const driven = node.drive(first(await node.claim()), { interrupt });
    await entered.opened;
    interrupt.abort();
    await driven;
    expect(thinks).toBe(2);
    expect(await world.run(runId)).toMatchObject({ status: 'completed', usage: { promptTokens: 20 } });
    expect(await world.count('SELECT prompt_tokens AS n FROM usage WHERE run_id = $1', [runId])).toBe(20);
  });

  test.each([
    ['look_up', 'a read', [] as object[]],
    ['put_ticket', 'an idempotent write', [{ step: 2, tool: 'put_ticket' }]],
    ['wipe_host', 'a destructive call', [{ step: 2, tool: 'wipe_host' }]],
  ])('R7: cancelled during %s (%s), the run reports what is uncertain', async (tool, _name, uncertain) => {
    const entered = createLatch();
    world.think = script(calls(call(tool)), answer('finished'));
    world.tools.on(tool, (_invocation, context) => new Promise((_resolve, reject) => {
      entered.open();
      context.signal.addEventListener('abort', () => reject(new Error('aborted')));
    }));
    const runId = await world.accept();
    await cancelAt(runId, entered.opened);
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled' });
    expect(await endOf(runId)).toMatchObject({ type: 'run_cancelled', data: { done: [], uncertain } });
    const act = (await world.steps(runId)).find((step) => step.kind === 'act');
    expect(act).toMatchObject({ status: 'failed' });
    expect(act?.finishedAt).not.toBeNull();
    expect((await world.audit(runId)).filter((row) => row.action_type === 'tool_call' && row.phase === 'outcome').at(-1)?.outcome).toBe(uncertain.length > 0 ? 'unknown' : 'error');
  });

  test('R7: cancelled between the intent and the effect, the effect does not happen and is not uncertain', async () => {
    world.think = script(calls(call('block_ip', { ip: '10.0.0.1' })), answer('finished'));
    const runId = await world.accept();
    const racing = await world.node({
      store: {
        ...world.store,
        commitRun: async (commit) => {
          if (commit.steps.some((step) => step.kind === 'act' && step.status === 'started')) await cancel(runId);
          return world.store.commitRun(commit);
        },
      },
    });
    await racing.work();
    expect(world.tools.calls).toEqual([]);
    expect(await endOf(runId)).toMatchObject({ type: 'run_cancelled', data: { done: [], uncertain: [] } });
    expect((await world.audit(runId)).filter((row) => row.action_type === 'tool_call').map((row) => row.outcome)).toEqual([null, 'not_executed']);
  });

  test('R7: cancelled between two calls, the second is not made and the first is reported as done', async () => {
    world.think = script(calls(call('put_ticket'), call('block_ip', { ip: '10.0.0.1' })), answer('finished'));
    const runId = await world.accept();
    world.tools.on('put_ticket', async () => {
      await cancel(runId);
      return { ok: true };
    });
    await node.work();
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['put_ticket']);
    expect(await endOf(runId)).toMatchObject({ data: { done: [{ tool: 'put_ticket' }], uncertain: [] } });
  });

  test('R7: a cancellation that races with the end of the run wins or loses as a whole', async () => {
    const runId = await world.accept();
    let raced = false;
    const racing = await world.node({
      store: {
        ...world.store,
        commitRun: async (commit) => {
          if (commit.to?.status === 'completed' && !raced) {
            raced = true;
            await cancel(runId);
          }
          return world.store.commitRun(commit);
        },
      },
    });
    await racing.work();
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled', output: null });
    expect((await world.events(runId)).filter(({ type }) => type === 'run_completed')).toEqual([]);
  });

  test('R7: a run whose node died is cancelled by the next one, which makes no call', async () => {
    const entered = createLatch();
    world.think = script(calls(call('wipe_host')), answer('finished'));
    world.tools.on('wipe_host', () => { entered.open(); return new Promise(() => undefined); });
    const runId = await world.accept();
    const stop = new AbortController();
    const dying = await world.node();
    const driven = dying.drive(first(await dying.claim()), { stop: stop.signal });
    await entered.opened;
    stop.abort();
    await driven;
    await dying.die();
    await cancel(runId);
    await node.work();
    expect(world.tools.calls).toHaveLength(1);
    expect(await endOf(runId)).toMatchObject({ type: 'run_cancelled', data: { uncertain: [{ tool: 'wipe_host' }] } });
  });

  test('R7: asked twice it is cancelled once and by the first; after another end it is a conflict; of no run it is not found', async () => {
    const runId = await world.accept();
    await cancel(runId, 'first');
    await cancel(runId, 'second');
    await node.work();
    await cancel(runId, 'third');
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled', error: { message: 'Cancelled by alice: first' } });
    expect((await world.events(runId)).filter(({ type }) => type === 'run_cancelled')).toHaveLength(1);
    const done = await world.accept();
    await node.work();
    await expect(cancel(done)).rejects.toMatchObject({ code: 'conflict', details: { status: 'completed' } });
    await expect(cancel('01900000-0000-7000-8000-000000000000')).rejects.toMatchObject({ code: 'not_found' });
  });
});
