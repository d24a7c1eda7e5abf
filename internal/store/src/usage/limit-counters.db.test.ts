import { Pool } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { testCounters } from '../testing/counters-contract.ts';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { giveLimits } from './give-limits.ts';
import { takeLimits } from './take-limits.ts';

let database: TestDatabase;
let pools: readonly [Pool, Pool];
beforeAll(async () => {
  database = await createTestDatabase();
  pools = [new Pool({ connectionString: database.url, max: 4 }), new Pool({ connectionString: database.url, max: 4 })];
});
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await database.drop();
});

testCounters(() => ({
  nodes: (now) => {
    const [one, two] = pools.map((pool) => ({
      take: (tenantId: string, items: Parameters<typeof takeLimits>[2]) => takeLimits(pool, tenantId, items, now()),
      give: (tenantId: string, items: Parameters<typeof giveLimits>[2]) => giveLimits(pool, tenantId, items, now()),
    }));
    if (one === undefined || two === undefined) throw new Error('two pools are open');
    return [one, two];
  },
}));
