import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { AppliedMigration } from '../migrate.ts';

/** Reads the newer column by way of JSON, so that it may be missing. */
const LIST_MIGRATIONS: Statement = {
  name: 'list-migrations',
  text: `SELECT number, name, sha256, (to_jsonb(m) ->> 'oldest_program')::int AS oldest_program FROM schema_migrations m ORDER BY number`,
};

export async function listMigrations(db: Queryable): Promise<readonly AppliedMigration[]> {
  return (await run<AppliedMigration>(db, LIST_MIGRATIONS, [])).rows;
}
