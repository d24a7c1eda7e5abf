import type { Pool } from 'pg';
import type { Queryable } from '../database.ts';
import { toStoreError } from '../database.ts';

/** Runs `work` in one transaction; anything thrown undoes it. Errors come out as PlatformError. */
export async function inTransaction<T>(pool: Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((thrown: unknown) => {
    throw toStoreError(thrown);
  });
  let isBroken = false;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (thrown) {
    // A connection that cannot even roll back does not go back to the pool.
    await client.query('ROLLBACK').catch(() => {
      isBroken = true;
    });
    throw toStoreError(thrown);
  } finally {
    client.release(isBroken);
  }
}
