import { lstat } from 'node:fs/promises';
import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { withDurableServer } from './durable-server.ts';
import { createTestDatabase } from './test-database.ts';

async function query(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the databases of tests', () => {
  test('have every migration, see nothing of each other and can be made many at once', async () => {
    const databases = await Promise.all(Array.from({ length: 4 }, () => createTestDatabase()));
    await Promise.all(databases.map(({ url }, index) => query(url, `CREATE TABLE mine AS SELECT ${index} AS n`)));
    expect(await Promise.all(databases.map(({ url }) => query(url, 'SELECT n FROM mine')))).toEqual([[{ n: 0 }], [{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
    expect(await query(databases[0]?.url ?? '', `SELECT count(*) > 0 AS migrated FROM schema_migrations`)).toEqual([{ migrated: true }]);
    await Promise.all(databases.map((database) => database.drop()));
    await expect(query(databases[0]?.url ?? '', 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
  });

  test('a durable server of its own is durable, and nothing of it is left', async () => {
    const dataDir = await withDurableServer(async ({ server, dataDir: path }) => {
      expect(await query(server.url, `SELECT current_setting('fsync') AS fsync`)).toEqual([{ fsync: 'on' }]);
      return path;
    });
    await expect(lstat(dataDir)).rejects.toThrow('ENOENT');
  });
});
