import { Client, Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './testing/test-database.ts';
import { migrate, type Migration } from './migrate.ts';
import { migrations } from './migrations/index.ts';

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

  test('works with a single client, and leaves it usable after a failure', async () => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await expect(migrate(client, [ONE, TWO, BROKEN])).rejects.toMatchObject({ code: 'internal' });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
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
