import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const READ_DATABASE_CLOCK: Statement = { name: 'read-database-clock', text: 'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms' };

/** Milliseconds since 1970 by the clock of the database. */
export async function readDatabaseClock(db: Queryable): Promise<number> {
  const { rows } = await run<{ now_ms: number }>(db, READ_DATABASE_CLOCK, []);
  return rows[0]?.now_ms ?? Number.NaN;
}
