import type { Queryable, Statement } from './database.ts';
import { run } from './database.ts';

const PING: Statement = { name: 'ping', text: 'SELECT version() AS version, (SELECT max(number) FROM schema_migrations) AS migration' };

/** Rejects with `unavailable` when the database does not answer. */
export async function ping(db: Queryable): Promise<{ readonly version: string; readonly migration: number }> {
  const { rows } = await run<{ version: string; migration: number | null }>(db, PING, []);
  return { version: rows[0]?.version ?? '', migration: rows[0]?.migration ?? 0 };
}
