import { Pool } from 'pg';
import type { Notice } from '@openeaap/kernel';
import { randomIds, systemClock } from '@openeaap/kernel';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import type { NoticeBoard } from './notice-board.ts';
import { createNoticeBoard, parseNotice } from './notice-board.ts';

let database: TestDatabase;
let pool: Pool;
const boards: NoticeBoard[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 8 });
  pool.on('error', () => undefined);
});
afterEach(async () => {
  await Promise.all(boards.splice(0).map((board) => board.close()));
  await pool.end();
  await database.drop();
});

interface Listener {
  readonly board: NoticeBoard;
  readonly heard: Notice[];
  readonly gaps: () => number;
}

async function listener(): Promise<Listener> {
  const heard: Notice[] = [];
  let gaps = 0;
  const board = createNoticeBoard({
    pool,
    nodeId: randomIds.newId(),
    clock: systemClock,
    onNotice: (notice) => heard.push(notice),
    onGap: () => (gaps += 1),
    onError: () => undefined,
    retryMs: { first: 5, longest: 20 },
  });
  boards.push(board);
  await expect.poll(() => gaps, { timeout: 10_000 }).toBe(1);
  return { board, heard, gaps: () => gaps };
}

describe('notice board', () => {
  test('a notice reaches every other node and not its sender', async () => {
    const [a, b, c] = [await listener(), await listener(), await listener()];
    const notices: readonly Notice[] = [{ kind: 'due' }, { kind: 'cancel', runId: 'r1' }, { kind: 'watch', runIds: ['r1', 'r2'] }, { kind: 'events', runId: 'r2' }, { kind: 'delta', delta: { runId: 'r1', stepNo: 3, text: '判断 "x"\n' } }];
    for (const notice of notices) a.board.post(notice);
    await expect.poll(() => [b.heard.length, c.heard.length], { timeout: 10_000 }).toEqual([5, 5]);
    expect(b.heard).toEqual(notices);
    expect(a.heard).toEqual([]);
  });

  test('what is posted again while it waits is told once', async () => {
    const [a, b] = [await listener(), await listener()];
    a.board.post({ kind: 'cancel', runId: 'first' });
    for (let n = 0; n < 500; n += 1) a.board.post({ kind: 'due' });
    a.board.post({ kind: 'events', runId: 'last' });
    await expect.poll(() => b.heard.at(-1), { timeout: 10_000 }).toEqual({ kind: 'events', runId: 'last' });
    expect(b.heard.length).toBeLessThanOrEqual(4);
  });

  test('equal pieces of a model\'s text are told as often as they came', async () => {
    const [a, b] = [await listener(), await listener()];
    for (let n = 0; n < 5; n += 1) a.board.post({ kind: 'delta', delta: { runId: 'r', stepNo: 1, text: '0' } });
    await expect.poll(() => b.heard.length, { timeout: 10_000 }).toBe(5);
  });

  test('a board that is closed before it listens closes', async () => {
    const board = createNoticeBoard({ pool, nodeId: randomIds.newId(), clock: systemClock, onNotice: () => undefined, onGap: () => undefined, onError: () => undefined });
    await expect(board.close()).resolves.toBeUndefined();
  });

  test('a lost connection is made again, and the node is told that it may have missed something', async () => {
    const [a, b] = [await listener(), await listener()];
    await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`);
    await expect.poll(() => [a.gaps(), b.gaps()], { timeout: 10_000 }).toEqual([2, 2]);
    a.board.post({ kind: 'due' });
    await expect.poll(() => b.heard, { timeout: 10_000 }).toEqual([{ kind: 'due' }]);
  });

  test('a delta that no payload can hold is left out, and what comes after it is not', async () => {
    const [a, b] = [await listener(), await listener()];
    a.board.post({ kind: 'delta', delta: { runId: 'r', stepNo: 1, text: '长'.repeat(4_000) } });
    a.board.post({ kind: 'due' });
    await expect.poll(() => b.heard, { timeout: 10_000 }).toEqual([{ kind: 'due' }]);
  });

  test.each(['', 'null', '[]', '{"from":"x"}', '{"from":"x","notice":{"kind":"later"}}', '{"from":"x","notice":{"kind":"cancel"}}', '{"from":"me","notice":{"kind":"due"}}'])('what is not a notice for this node is passed over: %s', (payload) => {
    expect(parseNotice(payload, 'me')).toBeNull();
  });
});
