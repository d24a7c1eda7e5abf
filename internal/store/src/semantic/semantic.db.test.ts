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

  it.each([4_096, 4_097, 8_192])('takes vectors of %d numbers', async (length) => {
    const store = createSemanticStore(pool, { maxEntries: 100 });
    const vector = unit(...Array.from({ length }, (_, at) => (at % 2) - 0.5));
    await store.add(entry('long', { vector }));
    expect((await store.search(query({ vector }))).map(({ id }) => id)).toEqual(['long']);
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

  it('finds them too where most numbers are nothing, as in vectors that compare words: below 0 is not nothing', async () => {
    const store = createSemanticStore(pool, { maxEntries: 1_000 });
    const random = createRandom(6);
    // A word is a weight at a place. "Summarise section 12" differs by one of them from 249 others.
    const words = Array.from({ length: 260 }, () => ({ place: Math.floor(random() * 384), weight: random() < 0.5 ? 1 : -1 }));
    const vectorOf = (question: readonly number[]): Float32Array => {
      const numbers = Array.from({ length: 384 }, () => 0);
      for (const { place, weight } of question.flatMap((word) => words[word] ?? [])) numbers[place] = (numbers[place] ?? 0) + weight;
      return unit(...numbers);
    };
    const [template, numbers, extra] = [[0, 1, 2, 3, 4, 5, 6, 7], Array.from({ length: 250 }, (_, at) => 8 + at), 259];
    for (const number of numbers) await store.add(entry(String(number), { vector: vectorOf([...template, number]) }));
    for (const number of numbers) {
      const found = await store.search(query({ vector: vectorOf([...template, number, extra]), limit: 32 }));
      expect(found.map(({ id }) => id)).toContain(String(number));
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
