import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from '@openeaap/kernel';
import type { RunRequest, RunStart } from '@openeaap/orchestrator';
import { acceptRun, cancelRun } from '@openeaap/orchestrator';
import type { World } from './harness/world.ts';
import { ALICE, TENANT, createWorld } from './harness/world.ts';

const HOUR_MS = 3_600_000;
let world: World;
let nowMs: number;

beforeEach(async () => {
  world = await createWorld();
  nowMs = Date.now();
});
afterEach(() => world.close());

/** Accepts as the platform does, at a time that the test sets. */
function accept(start: RunStart | null, over: Partial<RunRequest> = {}): ReturnType<typeof acceptRun> {
  const clock = { ...world.deps.clock, now: () => new Date(nowMs) };
  return acceptRun({ agent: { name: 'agent' }, principal: ALICE, input: 'the task', idempotencyKey: null, priority: 'normal', source: 'api', identity: null, traceId: null, start, ...over }, { ...world.deps, clock });
}

const at = (ms: number): RunStart => ({ kind: 'at', at: new Date(ms) });
const after = (delayMs: number): RunStart => ({ kind: 'after', delayMs });
/** The database's clock cannot be set; what is set is the time that it compares with. */
const becomeDue = (runId: string): Promise<unknown> => world.pool.query('UPDATE runs SET wake_at = now() WHERE id = $1', [runId]);

describe('a run that is told to start later', () => {
  test('is accepted and stored at once, is due at its time and not before, and then runs as any other', async () => {
    const { runId } = await accept(after(HOUR_MS));
    const node = await world.node();
    expect(await node.claim()).toEqual([]);
    expect(await world.run(runId)).toMatchObject({ status: 'pending', startAt: new Date(nowMs + HOUR_MS), startedAt: null });
    expect(await world.count('SELECT count(*) AS n FROM runs WHERE wake_at = start_at')).toBe(1);
    expect(await world.events(runId)).toMatchObject([{ type: 'run_created', data: { start_at: new Date(nowMs + HOUR_MS).toISOString() } }]);
    await becomeDue(runId);
    await node.work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed', output: 'done' });
  });

  test('can be cancelled before it starts: it thinks nothing', async () => {
    const { runId } = await accept(at(nowMs + HOUR_MS));
    let thinks = 0;
    world.think = () => {
      thinks += 1;
      return { thought: '', calls: [], output: 'done' };
    };
    await cancelRun({ tenantId: TENANT, runId, by: 'alice', reason: 'not needed' }, world.deps);
    await (await world.node()).work();
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled' });
    expect([thinks, (await world.steps(runId)).length]).toEqual([0, 0]);
  });

  test('R1: the start is part of the request; a delay is the same delay whenever it is sent again', async () => {
    const first = await accept(after(HOUR_MS), { idempotencyKey: 'k' });
    nowMs += HOUR_MS / 2;
    expect(await accept(after(HOUR_MS), { idempotencyKey: 'k' })).toEqual({ runId: first.runId, replayed: true });
    const mismatch = { code: 'idempotency_mismatch', details: { run_id: first.runId } };
    await expect(accept(after(HOUR_MS + 1_000), { idempotencyKey: 'k' })).rejects.toMatchObject(mismatch);
    await expect(accept(null, { idempotencyKey: 'k' })).rejects.toMatchObject(mismatch);
    await expect(accept(at(nowMs + HOUR_MS), { idempotencyKey: 'k' })).rejects.toMatchObject(mismatch);
  });

  test('R1: a key keeps its answer after the time is over', async () => {
    const start = at(nowMs + HOUR_MS);
    const first = await accept(start, { idempotencyKey: 'k' });
    nowMs += 3 * HOUR_MS;
    expect(await accept(start, { idempotencyKey: 'k' })).toEqual({ runId: first.runId, replayed: true });
    await expect(accept(start)).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'start_at' } });
  });

  test('is refused when its time is over or too far ahead; a request that was a little slow starts at once', async () => {
    await expect(accept(at(nowMs - LIMITS.startAtGraceMs - 1))).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('is over') });
    await expect(accept(at(nowMs + LIMITS.startDelayMs + 1))).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('30 days') });
    await expect(accept(after(LIMITS.startDelayMs + 1))).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'delay_s' } });
    await expect(accept(at(Number.NaN))).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await world.count('SELECT count(*) AS n FROM runs')).toBe(0);
    const { runId } = await accept(at(nowMs - LIMITS.startAtGraceMs + 1_000));
    expect((await (await world.node()).claim()).map(({ run }) => run.id)).toEqual([runId]);
  });

  test('does not keep those waiting that are due', async () => {
    await accept(after(HOUR_MS));
    const due = await world.accept('now');
    expect((await (await world.node()).claim()).map(({ run }) => run.id)).toEqual([due]);
  });

  test('a priority is stored as the place in the list', async () => {
    const { runId } = await accept(null, { priority: 'high' });
    expect(await world.count('SELECT priority AS n FROM runs WHERE id = $1', [runId])).toBe(2);
    const usual = await accept(null);
    expect(await world.count('SELECT priority AS n FROM runs WHERE id = $1', [usual.runId])).toBe(1);
  });
});
