import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomIds } from '@openeaap/kernel';
import { addFeedback, readEvents } from '@openeaap/store';
import { gateTools } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { TENANT, answer, call, calls, createWorld, script } from './harness/world.ts';

let world: World;

beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const feedback = (runId: string): Promise<boolean> =>
  addFeedback(world.pool, { tenantId: TENANT, id: randomIds.newId(), runId, userId: 'alice', score: 1, correction: null, category: null });

const numbers = async (runId: string): Promise<readonly number[]> => (await world.events(runId)).map(({ seq }) => seq);
const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, index) => index + 1);

describe('R8: events have a number without a gap and can be replayed', () => {
  test('R8: commits, decisions and feedback at once leave no gap and no double', async () => {
    world.policy.decide = gateTools(['block_ip']);
    const proposed = Array.from({ length: 8 }, (_, n) => call('block_ip', { ip: `10.0.0.${n}` }, `c${n}`));
    world.think = script(calls(...proposed), calls(call('look_up')), calls(call('look_up')), answer('finished'));
    const runId = await world.accept();
    const node = await world.node();
    await node.work();
    const open = await world.approvals(runId);
    const working = (async (): Promise<void> => {
      while ((await world.run(runId)).status !== 'completed') await node.work();
    })();
    await Promise.all([...open.map(({ id }) => world.decide(id, 'approve')), ...Array.from({ length: 15 }, () => feedback(runId)), working]);
    const run = await world.run(runId);
    expect(run).toMatchObject({ status: 'completed' });
    expect(await numbers(runId)).toEqual(upTo(run.lastSeq));
    expect(world.tools.callsOf('block_ip')).toHaveLength(8);
    expect((await world.events(runId)).filter(({ type }) => type === 'feedback_received')).toHaveLength(15);
  });

  test('R8: events can be read from any number, during the run and after its end, and feedback may follow the end', async () => {
    world.think = script(calls(call('look_up')), answer('finished'));
    const runId = await world.accept();
    let during: readonly number[] = [];
    world.tools.on('look_up', async () => {
      during = await numbers(runId);
      return {};
    });
    await (await world.node()).work();
    await feedback(runId);
    const all = await world.events(runId);
    expect(during).toEqual(upTo(during.length));
    expect(all.slice(0, during.length).map(({ seq }) => seq)).toEqual(during);
    expect(all.map(({ type }) => type)).toEqual([
      'run_created', 'run_started', 'policy_decision', 'model_call', 'step_thought', 'policy_decision', 'tool_call', 'tool_result', 'policy_decision', 'model_call', 'step_thought', 'run_completed', 'feedback_received',
    ]);
    for (const afterSeq of [0, 4, all.length - 1]) {
      const page = await readEvents(world.pool, { tenantId: TENANT, runId, afterSeq, limit: 3 });
      expect(page).toMatchObject({ status: 'completed' });
      expect(page?.events).toEqual(all.slice(afterSeq, afterSeq + 3));
    }
    expect(await readEvents(world.pool, { tenantId: TENANT, runId, afterSeq: 99, limit: 3 })).toEqual({ status: 'completed', events: [] });
    expect(await readEvents(world.pool, { tenantId: 'other', runId, afterSeq: 0, limit: 3 })).toBeNull();
  });

  test('R8: deltas are shown and never stored', async () => {
    const shown: string[] = [];
    world.think = (_request, context) => {
      context.onDelta('fini');
      context.onDelta('shed');
      return { thought: '', calls: [], output: 'finished' };
    };
    const runId = await world.accept();
    await (await world.node({ watch: { committed: () => undefined, delta: ({ text }) => void shown.push(text) } })).work();
    expect(shown).toEqual(['finished']);
    expect((await world.events(runId)).some(({ data }) => JSON.stringify(data).includes('"fini"'))).toBe(false);
  });

  test('R8: whoever watches is told after each commit, and of the end once', async () => {
    const told: { seq: number; ended: boolean }[] = [];
    const runId = await world.accept();
    await (await world.node({ watch: { delta: () => undefined, committed: (_runId, seq, ended) => void told.push({ seq, ended }) } })).work();
    expect(told.at(-1)).toEqual({ seq: (await world.run(runId)).lastSeq, ended: true });
    expect(told.filter(({ ended }) => ended)).toHaveLength(1);
  });
});

describe('R5: state grows linearly with the steps', () => {
  test('R5: a step costs the same bytes and rows in a run of 50 steps as in one of 6', async () => {
    await world.createAgent('long', { maxSteps: 100 });
    const costs: { readonly bytes: number; readonly rows: number }[] = [];
    for (const rounds of [3, 25]) {
      world.think = script(...Array.from({ length: rounds }, () => calls(call('look_up', { q: 'always the same' }))), answer('finished'));
      const runId = await world.accept('x', { agent: 'long' });
      await (await world.node()).work();
      expect(await world.run(runId)).toMatchObject({ status: 'completed', stepCount: rounds * 2 + 1 });
      const tables = ['run_steps', 'run_events', 'usage', 'audit_logs'];
      const sums = await Promise.all(tables.map((table) => world.pool.query<{ bytes: string; rows: string }>(`SELECT sum(pg_column_size(t.*)) AS bytes, count(*) AS rows FROM ${table} t WHERE run_id = $1`, [runId])));
      const total = sums.reduce((sum, { rows: [row] }) => ({ bytes: sum.bytes + Number(row?.bytes), rows: sum.rows + Number(row?.rows) }), { bytes: 0, rows: 0 });
      costs.push({ bytes: total.bytes / (rounds * 2 + 1), rows: total.rows / (rounds * 2 + 1) });
    }
    const [short, long] = costs;
    expect(long?.rows).toBeLessThanOrEqual((short?.rows ?? 0) + 0.01);
    expect(long?.bytes).toBeLessThanOrEqual((short?.bytes ?? 0) * 1.02);
  });
});
