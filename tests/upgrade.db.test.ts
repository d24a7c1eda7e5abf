import { Pool } from 'pg';
import { expect, test } from 'vitest';
import type { Migration } from '@openeaap/store';
import { migrate, migrations } from '@openeaap/store';
import { createTestDatabase } from '../internal/store/src/testing/test-database.ts';
import { call, calls, createWorld, script } from './harness/world.ts';

/**
 * A rolling upgrade as the database sees it: this program is at work, and a newer one migrates under it with
 * what a next release may do.
 */
test('a program goes on without one failed statement while a newer one migrates under it', async () => {
  const database = await createTestDatabase({ content: 'empty' });
  const upgrader = new Pool({ connectionString: database.url, max: 2 });
  await migrate(upgrader, migrations);
  const world = await createWorld({ database });
  world.think = script(calls(call('lookup', {})), { output: 'done' });
  const nodes = await Promise.all(Array.from({ length: WORKERS }, () => world.node()));
  const failures: unknown[] = [];
  const load = createLoad(async (index, worker) => {
    const node = nodes[worker] ?? nodes[0];
    if (node === undefined) throw new Error('there is no node');
    const runId = await world.accept(`task ${index}`, { key: `upgrade-${index}` });
    await node.work();
    await Promise.all([world.run(runId), world.steps(runId), world.events(runId), world.audit(runId), world.deps.store.beatNode(node.id)]);
  }, failures);

  await load.until(20);
  const applied = await migrate(upgrader, [...migrations, ...nextRelease(migrations.length)]);
  expect(applied).toEqual(nextRelease(migrations.length).map(({ number }) => number));
  await load.until(load.done() + 20);
  await load.stop();

  expect(failures).toEqual([]);
  expect(world.logged.filter(({ level }) => level !== 'info')).toEqual([]);
  expect(await world.count(`SELECT count(*) AS n FROM runs WHERE status <> 'completed'`)).toBe(0);
  // A pod of the old version that restarts in the middle of the rollout comes up.
  expect(await migrate(upgrader, migrations)).toEqual([]);
  await upgrader.end();
  await world.close();
});

/** What a next release may do: more columns where the old program reads all of them, a table, an index. */
function nextRelease(newest: number): readonly Migration[] {
  const oldestProgram = newest;
  return [
    { number: newest + 1, name: 'columns', oldestProgram, sql: `ALTER TABLE runs ADD COLUMN next_release INTEGER NOT NULL DEFAULT 7` },
    { number: newest + 2, name: 'more', oldestProgram, sql: `ALTER TABLE run_steps ADD COLUMN next_release TEXT` },
    { number: newest + 3, name: 'table', oldestProgram, sql: `CREATE TABLE next_release (id int)` },
    { number: newest + 4, name: 'index', oldestProgram, kind: 'index', index: 'next_release_index', sql: `CREATE INDEX CONCURRENTLY next_release_index ON run_steps (tenant_id, started_at)` },
  ];
}

const WORKERS = 3;

function createLoad(work: (index: number, worker: number) => Promise<void>, failures: unknown[]) {
  const state = { next: 0, done: 0, stopped: false };
  const workers = Array.from({ length: WORKERS }, async (_none, worker) => {
    while (!state.stopped) {
      await work((state.next += 1), worker).catch((error: unknown) => void failures.push(error));
      state.done += 1;
    }
  });
  return {
    done: () => state.done,
    until: async (count: number): Promise<void> => {
      while (state.done < count) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    stop: async (): Promise<void> => {
      state.stopped = true;
      await Promise.all(workers);
    },
  };
}
