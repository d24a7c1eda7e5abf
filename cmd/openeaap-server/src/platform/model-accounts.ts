import type { Pool } from 'pg';
import type { Accountant, AccountantDeps, KeyResolver, RedisCountersDeps, SharedCounters } from '@openeaap/msig';
import { createAccountant, createKeyResolver, createRedisCounters } from '@openeaap/msig';
import { findLiveModelKey, giveLimits, takeLimits, touchModelKey, writeModelUsage } from '@openeaap/store';

export interface ModelAccounts {
  readonly accountant: Accountant;
  /** Whose virtual key a credential is. */
  readonly keys: KeyResolver;
}

export interface ModelAccountsDeps {
  readonly pool: Pool;
  /** null: limits are counted in PostgreSQL. One place or the other, never both: their counters would differ. */
  readonly redis: RedisCountersDeps['link'] | null;
  readonly limits: AccountantDeps['limits'];
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** A key's last use is written at most so often. */
const TOUCH_MS = 300_000;

/** What the gateway's calls may cost, what they did cost, and who may make them, on the database that all nodes share. */
export function createModelAccounts({ pool, redis, limits, newId, now, onError }: ModelAccountsDeps): ModelAccounts {
  return {
    accountant: createAccountant({
      limits,
      counters: redis === null ? createStoreCounters(pool) : createRedisCounters({ link: redis }),
      writeUsage: (batchId, rows) => writeModelUsage(pool, batchId, rows),
      newId,
      onError,
    }),
    keys: createKeyResolver({
      now,
      find: async (hash) => {
        const key = await findLiveModelKey(pool, hash);
        if (key !== null && (key.lastUsedAt === null || now() - key.lastUsedAt.getTime() > TOUCH_MS)) void touchModelKey(pool, key.tenantId, key.id).catch(onError);
        return key;
      },
    }),
  };
}

/** `now` is for tests; not set: the clock of the server, by which all nodes count. */
export function createStoreCounters(pool: Pool, now?: () => number): SharedCounters {
  return {
    take: (tenantId, items) => takeLimits(pool, tenantId, items, now?.() ?? null),
    give: (tenantId, items) => giveLimits(pool, tenantId, items, now?.() ?? null),
  };
}
