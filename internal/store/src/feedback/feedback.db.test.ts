import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '@openeaap/kernel';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { addFeedback, listWaitingFeedback } from './feedback.ts';
import { collectPair, listPairs } from './preference-pairs.ts';

let database: TestDatabase;
let db: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  db = new Pool({ connectionString: database.url, max: 8 });
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

async function aRun(status: string): Promise<string> {
  const id = randomIds.newId();
  await db.query(`INSERT INTO runs (tenant_id, id, user_id, trace_id, status, input_payload) VALUES ('t', $1, 'alice', 'x', $2, '"in"')`, [id, status]);
  return id;
}
const feedbackOn = (runId: string, id = randomIds.newId()) => ({ tenantId: 't', id, runId, userId: 'alice', score: -1 as const, correction: 'better', category: null });
const pairOf = (runId: string, feedbackId: string, rest: { chosen?: string | null; rejected?: string | null } = {}) => ({
  tenantId: 't', id: randomIds.newId(), runId, feedbackId, agentName: 'a', agentVersion: '1', prompt: 'p', chosen: 'better', rejected: 'worse', category: null, ...rest,
});

describe('feedback', () => {
  test('is an event of its run, or nothing when there is no such run', async () => {
    const runId = await aRun('completed');
    expect(await addFeedback(db, feedbackOn(runId))).toBe(true);
    const { rows } = await db.query(`SELECT seq, type FROM run_events WHERE run_id = $1`, [runId]);
    expect(rows).toEqual([{ seq: '1', type: 'feedback_received' }]);
    expect(await addFeedback(db, feedbackOn(randomIds.newId()))).toBe(false);
    expect(await addFeedback(db, { ...feedbackOn(runId), tenantId: 'other' })).toBe(false);
  });

  test('waits until its run has ended, and becomes at most one row of the data set', async () => {
    const runId = await aRun('running');
    const feedback = feedbackOn(runId);
    await addFeedback(db, feedback);
    const waits = async (): Promise<boolean> => (await listWaitingFeedback(db, 100)).some(({ id }) => id === feedback.id);
    expect(await waits()).toBe(false);
    await db.query(`UPDATE runs SET status = 'failed' WHERE id = $1`, [runId]);
    expect(await waits()).toBe(true);
    const collected = await Promise.all(Array.from({ length: 8 }, () => collectPair(db, pairOf(runId, feedback.id))));
    expect(collected.filter(Boolean)).toHaveLength(1);
    expect(await waits()).toBe(false);
    expect(await listPairs(db, { tenantId: 't', feedbackId: feedback.id, limit: 10 })).toMatchObject([{ chosen: 'better', rejected: 'worse' }]);
  });

  test('without any answer to learn from it is collected and makes no row', async () => {
    const runId = await aRun('cancelled');
    const feedback = feedbackOn(runId);
    await addFeedback(db, feedback);
    expect(await collectPair(db, pairOf(runId, feedback.id, { chosen: null, rejected: null }))).toBe(false);
    expect(await listPairs(db, { tenantId: 't', feedbackId: feedback.id, limit: 10 })).toEqual([]);
    expect((await listWaitingFeedback(db, 100)).some(({ id }) => id === feedback.id)).toBe(false);
  });
});
