import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from '@openeaap/kernel';
import { setAgentStatus } from '@openeaap/store';
import type { World } from './harness/world.ts';
import { ALICE, BOB, TENANT, createWorld } from './harness/world.ts';

let world: World;

beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const runs = (): Promise<number> => world.count('SELECT count(*) AS n FROM runs');

describe('R1: a run is accepted when it is committed', () => {
  test('R1: of a hundred equal requests at once one makes the run and all get it', async () => {
    const ids = await Promise.all(Array.from({ length: 100 }, () => world.accept({ alert: 7 }, { key: 'alert-7' })));
    expect(new Set(ids).size).toBe(1);
    expect(await runs()).toBe(1);
    expect(await world.events(ids[0] ?? '')).toMatchObject([{ seq: 1, type: 'run_created', data: { status: 'pending', agent: 'agent' } }]);
  });

  test('R1: the same key with another body, another user or another agent is another request', async () => {
    const runId = await world.accept({ alert: 7 }, { key: 'k' });
    await world.createAgent('other');
    const mismatch = { code: 'idempotency_mismatch', details: { run_id: runId } };
    await expect(world.accept({ alert: 8 }, { key: 'k' })).rejects.toMatchObject(mismatch);
    // The earlier run is named only to whom it belongs.
    const anothers: unknown = await world.accept({ alert: 7 }, { key: 'k', principal: BOB }).catch((error: unknown) => error);
    expect(anothers).toMatchObject({ code: 'idempotency_mismatch', details: { field: 'idempotency_key' } });
    expect(anothers).not.toHaveProperty('details.run_id');
    await expect(world.accept({ alert: 7 }, { key: 'k', agent: 'other' })).rejects.toMatchObject(mismatch);
    expect(await world.accept({ alert: 7 }, { key: 'k' })).toBe(runId);
    expect(await runs()).toBe(1);
  });

  test('R1: the order of the keys of a body does not make another request; no key makes another run', async () => {
    const first = await world.accept({ a: 1, b: 2 }, { key: 'k' });
    expect(await world.accept({ b: 2, a: 1 }, { key: 'k' })).toBe(first);
    expect(await world.accept('x')).not.toBe(await world.accept('x'));
    expect(await runs()).toBe(3);
  });

  test('R1: a key keeps its answer after the agent was deprecated; a new key does not', async () => {
    const runId = await world.accept('x', { key: 'k' });
    const { agentId } = await world.run(runId);
    await setAgentStatus(world.pool, TENANT, agentId, 'deprecated');
    expect(await world.accept('x', { key: 'k' })).toBe(runId);
    await expect(world.accept('y', { key: 'k' })).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    await expect(world.accept('x', { key: 'k2' })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('R1: the same key is another run in another tenant', async () => {
    const mine = await world.accept('x', { key: 'k' });
    await world.pool.query(`INSERT INTO agents SELECT id, name, version, configuration, status, created_at, updated_at, 'other', published_at FROM agents`);
    const theirs = await world.accept('y', { key: 'k', principal: { ...ALICE, tenantId: 'other' } });
    expect(theirs).not.toBe(mine);
  });

  test('R1: an accepted run is in the store, pinned and due, before the answer', async () => {
    const runId = await world.accept('x', { key: 'k' });
    expect(await world.run(runId)).toMatchObject({ status: 'pending', agentVersion: '1.0.0', policyVersion: 'p1', idempotencyKey: 'k', principal: ALICE, lastSeq: 1 });
    expect(await (await world.node()).claim()).toMatchObject([{ run: { id: runId } }]);
  });

  test('R1: the input is masked before it is stored; the hash is of what came in', async () => {
    const runId = await world.accept({ text: 'call 13800138000', password: 'hunter2' }, { key: 'k' });
    expect((await world.run(runId)).input).toEqual({ text: 'call [masked:phone]', password: '*******' });
    await expect(world.accept({ text: 'call 13900139000', password: 'hunter2' }, { key: 'k' })).rejects.toMatchObject({ code: 'idempotency_mismatch' });
  });

  test('R1: what cannot be run is refused and nothing is stored', async () => {
    await expect(world.accept('x', { agent: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(world.accept('x'.repeat(LIMITS.runInputBytes))).rejects.toMatchObject({ code: 'payload_too_large' });
    const retired = await world.createAgent('retired');
    await setAgentStatus(world.pool, TENANT, retired, 'deprecated');
    await expect(world.accept('x', { agent: 'retired' })).rejects.toMatchObject({ code: 'not_found' });
    expect(await runs()).toBe(0);
  });

  test('R1: text that the database cannot hold is accepted without it', async () => {
    const runId = await world.accept({ ['k\u0000ey']: 'a\u0000b\ud800c' });
    expect((await world.run(runId)).input).toEqual({ key: 'abc' });
  });
});
