import { Pool, type PoolClient } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './testing/test-database.ts';
import { compareMigrations, migrate, type Migration } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import { listMigrations } from './operations/list-migrations.ts';

const ONE: Migration = { number: 1, name: 'one', sql: 'CREATE TABLE one (id int);\nINSERT INTO one VALUES (1);' };
const TWO: Migration = { number: 2, name: 'two', sql: 'CREATE TABLE two (id int);' };
const BROKEN: Migration = { number: 3, name: 'broken', sql: 'CREATE TABLE three (id int); SELECT nonsense;' };

let database: TestDatabase;
let pool: Pool;

beforeEach(async () => {
  database = await createTestDatabase({ content: 'empty' });
  pool = new Pool({ connectionString: database.url, max: 4 });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

describe('migrate', () => {
  test('applies what is missing, in order, and says what', async () => {
    expect(await migrate(pool, [ONE])).toEqual([1]);
    expect(await migrate(pool, [ONE, TWO])).toEqual([2]);
    expect(await migrate(pool, [ONE, TWO])).toEqual([]);
    const { rows } = await pool.query('SELECT number, name, length(sha256) AS hash, applied_at <= now() AS past FROM schema_migrations ORDER BY number');
    expect(rows).toEqual([
      { number: 1, name: 'one', hash: 64, past: true },
      { number: 2, name: 'two', hash: 64, past: true },
    ]);
  });

  test('runs each migration once when many nodes start together', async () => {
    const done = await Promise.all([migrate(pool, [ONE, TWO]), migrate(pool, [ONE, TWO]), migrate(pool, [ONE, TWO]), migrate(pool, [ONE, TWO])]);
    expect(done.flat().sort((a, b) => a - b)).toEqual([1, 2]);
    expect((await pool.query('SELECT * FROM one')).rowCount).toBe(1);
  });

  test('rolls a failing migration back as a whole and keeps those before it', async () => {
    await expect(migrate(pool, [ONE, TWO, BROKEN])).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/Migration 3 \(broken\).*nonsense/s) });
    expect((await pool.query(`SELECT to_regclass('three') AS three, (SELECT max(number) FROM schema_migrations) AS last`)).rows).toEqual([{ three: null, last: 2 }]);
    expect(await migrate(pool, [ONE, TWO, { ...BROKEN, sql: 'CREATE TABLE three (id int)' }])).toEqual([3]);
  });

  test('refuses a database where an applied migration had another text', async () => {
    await migrate(pool, [ONE]);
    await expect(migrate(pool, [{ ...ONE, sql: `${ONE.sql} ` }, TWO])).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('Migration 1 (one)') });
    expect((await pool.query(`SELECT to_regclass('two') AS two`)).rows).toEqual([{ two: null }]);
  });

  test('takes a text with other line ends for the same', async () => {
    await migrate(pool, [ONE]);
    expect(await migrate(pool, [{ ...ONE, sql: ONE.sql.replaceAll('\n', '\r\n') }])).toEqual([]);
  });

  test('refuses a database that is newer than the program', async () => {
    await migrate(pool, [ONE, TWO]);
    await expect(migrate(pool, [ONE])).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('newer than this program') });
  });

  test('refuses numbers with a gap', async () => {
    await expect(migrate(pool, [ONE, { ...TWO, number: 3 }])).rejects.toMatchObject({ code: 'internal' });
  });

  test('leaves the pool usable after a failure', async () => {
    const small = new Pool({ connectionString: database.url, max: 2 });
    await expect(migrate(small, [ONE, TWO, BROKEN])).rejects.toMatchObject({ code: 'internal' });
    expect((await small.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect((await small.query(`SELECT current_setting('lock_timeout') AS wait`)).rows).toEqual([{ wait: '0' }]);
    await small.end();
  });

  test('brings an empty database to the product’s newest migration, and a clone of the template is there already', async () => {
    expect(await migrate(pool, migrations)).toEqual(migrations.map(({ number }) => number));
    const clone = await createTestDatabase();
    const clonePool = new Pool({ connectionString: clone.url, max: 1 });
    expect(await migrate(clonePool, migrations)).toEqual([]);
    await clonePool.end();
    await clone.drop();
  });
});

describe('an older program', () => {
  const LIVEABLE: Migration = { number: 3, name: 'liveable', sql: 'ALTER TABLE one ADD COLUMN more int', oldestProgram: 1 };
  const FOURTH: Migration = { number: 4, name: 'fourth', sql: 'ALTER TABLE one ADD COLUMN fourth int', oldestProgram: 2 };

  test('starts beside a newer one when every migration that it does not know may be lived with', async () => {
    await migrate(pool, [ONE, TWO, LIVEABLE]);
    expect(await migrate(pool, [ONE, TWO])).toEqual([]);
    const state = compareMigrations(await listMigrations(pool), [ONE, TWO]);
    expect(state).toEqual({ applied: 3, pending: [], newer: ['3 (liveable)'], refusal: null });
  });

  test('is refused by the first migration that needs a newer one, and told which', async () => {
    await migrate(pool, [ONE, TWO, LIVEABLE, FOURTH]);
    expect(await migrate(pool, [ONE, TWO])).toEqual([]);
    await expect(migrate(pool, [ONE])).rejects.toMatchObject({ code: 'conflict', details: { found: 2, known: 1, oldest: 2 }, message: expect.stringContaining('needs a program that knows migration 2; this one ends at 1') });
  });

  test('is refused by rows that were written before migrations said whom they can live with', async () => {
    await pool.query('CREATE TABLE schema_migrations (number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL)');
    await migrate(pool, [ONE, TWO, LIVEABLE]);
    await pool.query('ALTER TABLE schema_migrations DROP COLUMN oldest_program');
    await expect(migrate(pool, [ONE, TWO])).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('newer than this program') });
    expect(await migrate(pool, [ONE, TWO, LIVEABLE, FOURTH])).toEqual([4]);
    expect((await pool.query('SELECT number, oldest_program FROM schema_migrations ORDER BY number')).rows.slice(2)).toEqual([{ number: 3, oldest_program: null }, { number: 4, oldest_program: 2 }]);
  });
});

describe('a migration that needs a lock', () => {
  const ALTER: Migration = { number: 2, name: 'alter', sql: 'ALTER TABLE one ADD COLUMN more int' };
  const LIMITS = { lockTimeoutMs: 100, lockPatienceMs: 30_000 };

  async function withLongTransaction<T>(work: (holder: PoolClient) => Promise<T>): Promise<T> {
    const holder = await pool.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('SELECT count(*) FROM one');
      return await work(holder);
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
    }
  }

  test('lets others work while it waits, and gets through when the long transaction ends', async () => {
    await migrate(pool, [ONE]);
    const { migrating, slowest, read } = await withLongTransaction(async () => {
      const done = migrate(pool, [ONE, ALTER], LIMITS);
      let longest = 0;
      let count = 0;
      const until = performance.now() + 3_000;
      while (performance.now() < until) {
        const begun = performance.now();
        await pool.query('SELECT count(*) FROM one');
        longest = Math.max(longest, performance.now() - begun);
        count += 1;
      }
      return { migrating: done, slowest: longest, read: count };
    });
    expect(await migrating).toEqual([2]);
    expect(read).toBeGreaterThan(20);
    // Behind one try at the most, and never behind the transaction of 3 s; the machine may be busy.
    expect(slowest).toBeLessThan(2_000);
  });

  test('gives up after a while, changes nothing and names who holds on', async () => {
    await migrate(pool, [ONE]);
    await withLongTransaction(async (holder) => {
      const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(1.2)');
      await expect(migrate(pool, [ONE, ALTER], { lockTimeoutMs: 50, lockPatienceMs: 1_000 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(`pid ${rows[0]?.pid ?? 0} (`) });
    });
    expect((await pool.query('SELECT max(number) AS newest FROM schema_migrations')).rows).toEqual([{ newest: 1 }]);
    expect(await migrate(pool, [ONE, ALTER], LIMITS)).toEqual([2]);
  });
});

describe('a migration that builds an index', () => {
  const INDEX: Migration = { number: 2, name: 'index', kind: 'index', index: 'one_id', sql: 'CREATE UNIQUE INDEX CONCURRENTLY one_id ON one (id)', oldestProgram: 1 };
  const isValid = async (): Promise<boolean | undefined> => (await pool.query<{ indisvalid: boolean }>(`SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('one_id')`)).rows[0]?.indisvalid;

  test('runs once when many nodes start together, and the waiting ones do not stop it', async () => {
    const done = await Promise.all([1, 2, 3].map(async () => {
      const own = new Pool({ connectionString: database.url, max: 2 });
      const applied = await migrate(own, [ONE, INDEX]);
      await own.end();
      return applied;
    }));
    expect(done.flat().sort((a, b) => a - b)).toEqual([1, 2]);
    expect(await isValid()).toBe(true);
  });

  test('lets rows be written while it waits for an older transaction', async () => {
    await migrate(pool, [ONE]);
    const holder = await pool.connect();
    await holder.query('BEGIN');
    await holder.query('INSERT INTO one VALUES (100)');
    const own = new Pool({ connectionString: database.url, max: 2 });
    const migrating = migrate(own, [ONE, INDEX]);
    for (let waits = false; !waits; ) {
      const { rows } = await pool.query<{ waits: boolean }>(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE UNIQUE INDEX CONC%' AND wait_event_type = 'Lock') AS waits`);
      waits = rows[0]?.waits === true;
    }
    for (let id = 200; id < 220; id += 1) await pool.query('INSERT INTO one VALUES ($1)', [id]);
    await holder.query('COMMIT');
    holder.release();
    expect(await migrating).toEqual([2]);
    await own.end();
    expect(await isValid()).toBe(true);
    expect((await pool.query('SELECT id FROM one')).rowCount).toBe(22);
  });

  test('builds again what a crash left half built, and takes for done what a crash left unsaid', async () => {
    await migrate(pool, [ONE]);
    await pool.query('INSERT INTO one VALUES (1)');
    await expect(migrate(pool, [ONE, INDEX])).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('one_id') });
    expect(await isValid()).toBe(false);
    await pool.query('DELETE FROM one');
    expect(await migrate(pool, [ONE, INDEX])).toEqual([2]);
    expect(await isValid()).toBe(true);
    await pool.query('DELETE FROM schema_migrations WHERE number = 2');
    expect(await migrate(pool, [ONE, INDEX])).toEqual([2]);
  });
});
