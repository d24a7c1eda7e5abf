import { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../testing/test-database.ts';
import type { TestDatabase } from '../testing/test-database.ts';
import { createRandom } from '../testing/seeded-random.ts';
import { createSemanticStore } from './index.ts';
import type { SemanticEntry, SemanticQuery } from './index.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 4 });
});
afterEach(async () => {
  await pool.query('DELETE FROM semantic_cache');
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const unit = (...numbers: readonly number[]): Float32Array => {
  const length = Math.hypot(...numbers);
  return Float32Array.from(numbers, (number) => number / length);
};
const entry = (id: string, changes: Partial<SemanticEntry> = {}): SemanticEntry => ({ tenantId: 't', scope: 's', id, vector: unit(1, 0), facts: `facts of ${id}`, answer: Buffer.from(`answer ${id}`), nowMs: 1_000, untilMs: 2_000, ...changes });
const query = (changes: Partial<SemanticQuery> = {}): SemanticQuery => ({ tenantId: 't', scope: 's', vector: unit(1, 0.1), limit: 8, least: 0.5, nowMs: 1_000, ...changes });
const count = async (): Promise<number> => Number((await pool.query<{ n: string }>('SELECT count(*) AS n FROM semantic_cache')).rows[0]?.n);

describe('questions as vectors in PostgreSQL', () => {
  it('gives the nearest, best first, with the exact cosine', async () => {
    const store = createSemanticStore(pool, { maxEntries: 100 });
    for (const [id, vector] of [['far', unit(0, 1)], ['near', unit(1, 0.5)], ['nearest', unit(1, 0.1)], ['opposite', unit(-1, 0)]] as const) await store.add(entry(id, { vector }));
    expect(await store.search(query())).toEqual([
      { id: 'nearest', facts: 'facts of nearest', similarity: expect.closeTo(1, 5) },
      { id: 'near', facts: 'facts of near', similarity: expect.closeTo(0.9345, 3) },
    ]);
    expect((await store.search(query({ limit: 1 }))).map(({ id }) => id)).toEqual(['nearest']);
    expect(Buffer.from((await store.load(entry('near'))) ?? []).toString()).toBe('answer near');
  });

  it('keeps tenants, scopes, times and lengths apart', async () => {
    const store = createSemanticStore(pool, { maxEntries: 100 });
    await store.add(entry('a'));
    for (const other of [{ tenantId: 'x' }, { scope: 'x' }, { nowMs: 2_000 }, { vector: unit(1, 0, 0) }]) expect(await store.search(query(other))).toEqual([]);
    for (const other of [{ tenantId: 'x' }, { scope: 'x' }, { id: 'x' }]) expect(await store.load({ ...entry('a'), ...other })).toBeNull();
  });

  it('replaces what is added again', async () => {
    const store = createSemanticStore(pool, { maxEntries: 100 });
    await store.add(entry('a'));
    await store.add(entry('a', { vector: unit(0, 1), answer: Buffer.from('new') }));
    expect(await store.search(query())).toEqual([]);
    expect(Buffer.from((await store.load(entry('a'))) ?? []).toString()).toBe('new');
  });

  it('finds the nearest of many by their signs first', async () => {
    const store = createSemanticStore(pool, { maxEntries: 1_000 });
    const random = createRandom(5);
    const vectors = Array.from({ length: 200 }, () => unit(...Array.from({ length: 64 }, () => random() - 0.5)));
    for (const [at, vector] of vectors.entries()) await store.add(entry(String(at), { vector }));
    for (const [at, vector] of vectors.entries()) {
      const noisy = unit(...Array.from(vector, (number) => number + (random() - 0.5) * 0.08));
      const [best] = await store.search(query({ vector: noisy, least: 0.9 }));
      expect(best?.id).toBe(String(at));
    }
  });

  it('stays within its entries, and forgets what is over', async () => {
    const store = createSemanticStore(pool, { maxEntries: 10 });
    for (let at = 0; at < 128; at += 1) await store.add(entry(String(at), { untilMs: 2_000 + at }));
    expect(await count()).toBe(10);
    expect((await store.search(query({ limit: 100 }))).map(({ id }) => Number(id)).sort((a, b) => a - b)[0]).toBe(118);
    for (let at = 0; at < 64; at += 1) await store.add(entry('same', { nowMs: 3_000, untilMs: 4_000 }));
    expect(await count()).toBe(1);
  });
});
