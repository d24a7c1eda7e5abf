import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { acceptTools, deletePlugin, listPluginPins, listPlugins, pinTools, restartPlugin, savePlugin } from './index.ts';

const T = 'default';
let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const save = (name: string, declaration = {}, most = 10) => savePlugin(pool, { tenantId: T, name, declaration, by: 'admin', most });

describe('declared plugins', () => {
  test('one name is one plugin: the newer declaration stands, and a restart counts', async () => {
    expect(await save('b', { v: 1 })).toBe(true);
    expect(await save('b', { v: 2 })).toBe(true);
    await restartPlugin(pool, T, 'b', 'admin');
    await restartPlugin(pool, T, 'of-the-file', 'admin');
    await restartPlugin(pool, T, 'of-the-file', 'admin');
    expect(await listPlugins(pool, T)).toEqual([{ name: 'b', declaration: { v: 2 }, generation: 2 }, { name: 'of-the-file', declaration: null, generation: 3 }]);
    expect(await deletePlugin(pool, T, 'of-the-file')).toBe(false);
    expect(await listPlugins(pool, 'another tenant')).toEqual([]);
  });

  test('no more than the limit, but those that are there can be changed', async () => {
    expect(await save('c', {}, 1)).toBe(false);
    expect(await save('b', { v: 3 }, 1)).toBe(true);
  });

  test('what was seen first stays until a person accepts another', async () => {
    await pinTools(pool, T, 'b', { search: 'h1' });
    await pinTools(pool, T, 'b', { search: 'h2', fetch: 'h3' });
    expect(await listPluginPins(pool, T, 'b')).toEqual({ search: 'h1', fetch: 'h3' });
    await acceptTools(pool, T, 'b', { search: 'h2' }, 'admin');
    expect(await listPluginPins(pool, T, 'b')).toEqual({ search: 'h2', fetch: 'h3' });
  });

  test('whoever comes next under the name of a deleted plugin is a stranger', async () => {
    expect(await deletePlugin(pool, T, 'b')).toBe(true);
    expect(await deletePlugin(pool, T, 'b')).toBe(false);
    expect(await listPluginPins(pool, T, 'b')).toEqual({});
  });
});
