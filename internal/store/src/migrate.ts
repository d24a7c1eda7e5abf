import { createHash } from 'node:crypto';
import type { ClientBase, Pool } from 'pg';
import { PlatformError } from '@openeaap/kernel';

export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly number: number;
  readonly name: string;
  /** One or more statements. May not hold BEGIN or COMMIT, nor what cannot run in a transaction. */
  readonly sql: string;
}

/** "oeap" and 2: the key of the advisory lock under which migrations run. */
const MIGRATION_LOCK = [0x6f656170, 2] as const;

/**
 * Brings the database to the newest migration and answers the numbers applied, in order; none when
 * it is there already. Each migration is one transaction, so a failure or a crash leaves those before
 * it whole. Several nodes may call it at once: they take turns, and each migration runs once.
 *
 * Throws `conflict`, before anything is changed, when the database has a migration that this program
 * does not know or knows with another text; `internal` when a migration's SQL fails.
 */
export async function migrate(database: Pool | ClientBase, migrations: readonly Migration[]): Promise<readonly number[]> {
  checkNumbers(migrations);
  if (!isPool(database)) return migrateWith(database, migrations);
  const client = await database.connect();
  let failed: unknown;
  try {
    return await migrateWith(client, migrations);
  } catch (error) {
    failed = error;
    throw error;
  } finally {
    // A connection in an unknown state does not go back to the pool.
    client.release(failed !== undefined);
  }
}

interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

function isPool(database: Pool | ClientBase): database is Pool {
  return 'totalCount' in database;
}

function checkNumbers(migrations: readonly Migration[]): void {
  migrations.forEach(({ number, name }, index) => {
    if (number !== index + 1) throw new PlatformError('internal', `Migration "${name}" has the number ${number}, but ${index + 1} is next.`);
  });
}

async function migrateWith(client: ClientBase, migrations: readonly Migration[]): Promise<readonly number[]> {
  const done: number[] = [];
  for (;;) {
    const next = await inLockedTransaction(client, () => applyNext(client, migrations));
    if (next === undefined) return done;
    done.push(next);
  }
}

/** The transaction's own lock: it goes with the transaction, whatever ends it, and works through a pooler. */
async function inLockedTransaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1, $2)', [...MIGRATION_LOCK]);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function applyNext(client: ClientBase, migrations: readonly Migration[]): Promise<number | undefined> {
  const applied = await readApplied(client);
  checkHistory(applied, migrations);
  const next = migrations[applied.length];
  if (next === undefined) return undefined;
  try {
    await client.query(next.sql);
  } catch (cause) {
    throw new PlatformError('internal', `Migration ${next.number} (${next.name}) failed and was rolled back; the ones before it are in place. ${describe(cause)}`, { details: { number: next.number }, cause });
  }
  await client.query('INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES ($1, $2, $3, now())', [next.number, next.name, toSha256(next.sql)]);
  return next.number;
}

async function readApplied(client: ClientBase): Promise<readonly AppliedMigration[]> {
  // Asked first: CREATE TABLE IF NOT EXISTS needs the right to create even where the table exists.
  const { rows: tables } = await client.query<{ exists: boolean }>(`SELECT to_regclass('schema_migrations') IS NOT NULL AS exists`);
  if (tables[0]?.exists !== true) {
    await client.query('CREATE TABLE schema_migrations (number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL)');
    return [];
  }
  const { rows } = await client.query<AppliedMigration>('SELECT number, name, sha256 FROM schema_migrations ORDER BY number');
  return rows;
}

function checkHistory(applied: readonly AppliedMigration[], migrations: readonly Migration[]): void {
  applied.forEach((row, index) => {
    const known = migrations[index];
    if (known === undefined) {
      throw new PlatformError('conflict', `The database is newer than this program: it has migration ${row.number} (${row.name}), the program ends at ${migrations.length}. Start the newer version of the program, or restore the backup made before the upgrade.`, {
        details: { found: row.number, known: migrations.length },
      });
    }
    if (row.number !== known.number || row.sha256 !== toSha256(known.sql)) {
      throw new PlatformError('conflict', `Migration ${known.number} (${known.name}) is in the database with another text (${row.number}, ${row.name}). An applied migration may not be edited: start the version of the program that made this database, or restore the file and put the change into a new migration.`, {
        details: { number: known.number },
      });
    }
  });
}

/** Line ends do not count: a checkout on another system may change them. */
function toSha256(sql: string): string {
  return createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex');
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'Unknown error.';
}
