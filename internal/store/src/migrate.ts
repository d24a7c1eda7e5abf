import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { sqlState } from './database.ts';

interface MigrationBase {
  /** 1, 2, 3 … without gaps. */
  readonly number: number;
  readonly name: string;
  /**
   * The oldest program that can live with the database once this is applied, as the highest migration
   * that such a program knows. A program that ends there may start, and go on, beside newer ones.
   * Left out: only a program that knows this migration itself.
   */
  readonly oldestProgram?: number;
}

/** One or more statements in one transaction. May not hold BEGIN or COMMIT, nor what cannot run in a transaction. */
export interface TransactionMigration extends MigrationBase {
  readonly kind?: 'transaction';
  readonly sql: string;
}

/**
 * An index that is built while rows are written: one CREATE INDEX CONCURRENTLY, outside of a
 * transaction. What a crash left half built is dropped and built again.
 */
export interface IndexMigration extends MigrationBase {
  readonly kind: 'index';
  /** Name of the index that `sql` makes. */
  readonly index: string;
  readonly sql: string;
}

export type Migration = TransactionMigration | IndexMigration;

/** Waits and tries of a migration; each has a limit. */
export interface MigrateLimits {
  /**
   * How long one try may wait for a lock. While it waits, every statement on that table queues
   * behind it, so this is also the longest stall that a migration causes.
   */
  readonly lockTimeoutMs: number;
  /** How long the tries go on before the program gives up starting. */
  readonly lockPatienceMs: number;
  /** Building one index, and waiting for transactions that are older than it. */
  readonly indexBuildMs: number;
  /** While another node migrates. More than it may take itself. */
  readonly turnPatienceMs: number;
}

/** "oeap" and 2: the key of the advisory lock under which migrations run. */
const MIGRATION_LOCK = [0x6f656170, 2] as const;
const TURN_POLL_MS = 100;
/** Between two tries for a lock: others get to work meanwhile. */
const RETRY_MS = { first: 250, longest: 5_000 } as const;

const DEFAULT_LIMITS: MigrateLimits = {
  // Shorter than the 6 s after which a node that cannot write lets go of its runs.
  lockTimeoutMs: 2_000,
  lockPatienceMs: 120_000,
  indexBuildMs: 3_600_000,
  turnPatienceMs: 3_900_000,
};

/**
 * Brings the database to the newest migration and answers the numbers applied, in order; none when
 * it is there already. Each migration is whole or not there, so a failure or a crash leaves those
 * before it in place. Several nodes may call it at once: they take turns, and each migration runs
 * once. Older programs may be at work on the database meanwhile; see CONTRIBUTING.md for the rules
 * that keep them unharmed. The pool needs two connections, and no statement timeout of its own.
 *
 * Throws `conflict`, before anything is changed, when the database has a migration that this program
 * does not know and may not live with, or knows with another text; `unavailable` when a lock could
 * not be had (the message names who holds on); `internal` when a migration's SQL fails.
 */
export async function migrate(pool: Pool, migrations: readonly Migration[], limits: Partial<MigrateLimits> = {}): Promise<readonly number[]> {
  checkNumbers(migrations);
  const total = { ...DEFAULT_LIMITS, ...limits };
  const done: number[] = [];
  for (;;) {
    const next = await patiently(total, () => inTurn(pool, total, (client) => applyNext({ client, pool, migrations, limits: total })));
    if (next === undefined) return done;
    done.push(next);
  }
}

export interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  /** null: written before migrations said it, so only programs that know the migration may start. */
  readonly oldest_program: number | null;
}

/** What stands in a database, against what a program knows. */
export interface MigrationState {
  readonly applied: number;
  /** Numbers that the program knows and the database lacks. */
  readonly pending: readonly number[];
  /** Names of migrations that the program does not know but may live with. */
  readonly newer: readonly string[];
  /** Why this program may not work on this database; null when it may. */
  readonly refusal: PlatformError | null;
}

/** Pure: compares the rows of `schema_migrations`, in order, with the program's migrations. */
export function compareMigrations(applied: readonly AppliedMigration[], migrations: readonly Migration[]): MigrationState {
  const unknown = applied.slice(migrations.length);
  return {
    applied: applied.length,
    pending: migrations.slice(applied.length).map(({ number }) => number),
    newer: unknown.map(({ number, name }) => `${number} (${name})`),
    refusal: findEdited(applied, migrations) ?? findUnliveable(unknown, migrations.length),
  };
}

function checkNumbers(migrations: readonly Migration[]): void {
  migrations.forEach(({ number, name }, index) => {
    if (number !== index + 1) throw new PlatformError('internal', `Migration "${name}" has the number ${number}, but ${index + 1} is next.`);
  });
}

const LOCK_NOT_AVAILABLE = '55P03';

/** A try that found a table locked is given up at once and made again later, so that nobody queues behind it for long. */
async function patiently<T>(limits: MigrateLimits, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + limits.lockPatienceMs;
  for (let waitMs: number = RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, RETRY_MS.longest)) {
    try {
      return await attempt();
    } catch (thrown) {
      const isLocked = thrown instanceof PlatformError && sqlState(thrown.cause) === LOCK_NOT_AVAILABLE;
      if (!isLocked || performance.now() + waitMs > deadline) throw thrown;
      await delay(waitMs);
    }
  }
}

/**
 * Runs `work` inside of a transaction that holds the lock of migrations. The lock goes with the
 * transaction, whatever ends it, and works through a pooler. It is asked for again and again and
 * never waited for: a statement that waits keeps its snapshot, and an index that another node builds
 * concurrently would wait for that snapshot to go.
 */
async function inTurn<T>(pool: Pool, limits: MigrateLimits, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const deadline = performance.now() + limits.turnPatienceMs;
  for (;;) {
    const turn = await tryTurn(pool, work);
    if (turn.taken) return turn.result;
    if (performance.now() > deadline) {
      throw new PlatformError('unavailable', `Another node has been migrating this database for ${Math.round(limits.turnPatienceMs / 60_000)} minutes. Look at its log; if it is gone, end its database session and start again.`);
    }
    await delay(TURN_POLL_MS);
  }
}

async function tryTurn<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<{ readonly taken: true; readonly result: T } | { readonly taken: false }> {
  const client = await pool.connect();
  let isWhole = false;
  try {
    await client.query('BEGIN');
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_xact_lock($1, $2) AS taken', [...MIGRATION_LOCK]);
    const taken = rows[0]?.taken === true;
    // The holder is idle while another connection builds an index.
    if (taken) await client.query('SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0');
    const result = taken ? await work(client) : undefined;
    await client.query(taken ? 'COMMIT' : 'ROLLBACK');
    isWhole = true;
    return taken ? { taken, result: result as T } : { taken };
  } catch (error) {
    isWhole = await client.query('ROLLBACK').then(() => true, () => false);
    throw error;
  } finally {
    // A connection in an unknown state does not go back to the pool.
    client.release(!isWhole);
  }
}

interface Application {
  /** In the transaction that holds the lock of migrations. */
  readonly client: PoolClient;
  readonly pool: Pool;
  readonly migrations: readonly Migration[];
  readonly limits: MigrateLimits;
}

async function applyNext({ client, pool, migrations, limits }: Application): Promise<number | undefined> {
  const applied = await readApplied(client);
  const { refusal } = compareMigrations(applied.rows, migrations);
  if (refusal !== null) throw refusal;
  const next = migrations[applied.rows.length];
  if (next === undefined) return undefined;
  try {
    await client.query(`SET LOCAL lock_timeout = ${Math.ceil(limits.lockTimeoutMs)}`);
    if (!applied.tellsOldest) await client.query(applied.exists ? ADD_OLDEST_PROGRAM : CREATE_TABLE);
    if (next.kind === 'index') await buildIndex(pool, next, limits);
    else await client.query(next.sql);
  } catch (cause) {
    throw await toFailure(next, cause, pool);
  }
  await client.query('INSERT INTO schema_migrations (number, name, sha256, applied_at, oldest_program) VALUES ($1, $2, $3, now(), $4)', [next.number, next.name, toSha256(next.sql), next.oldestProgram ?? next.number]);
  return next.number;
}

const CREATE_TABLE = 'CREATE TABLE schema_migrations (number int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL, oldest_program int)';
const ADD_OLDEST_PROGRAM = 'ALTER TABLE schema_migrations ADD COLUMN oldest_program int';

interface Applied {
  readonly exists: boolean;
  readonly tellsOldest: boolean;
  readonly rows: readonly AppliedMigration[];
}

/** The migrations of a database in order, whichever program wrote them. */
async function readApplied(client: PoolClient): Promise<Applied> {
  // Asked first: CREATE TABLE IF NOT EXISTS needs the right to create even where the table exists.
  const { rows: columns } = await client.query<{ attname: string }>(
    `SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('schema_migrations') AND attnum > 0 AND NOT attisdropped`,
  );
  if (columns.length === 0) return { exists: false, tellsOldest: false, rows: [] };
  const tellsOldest = columns.some(({ attname }) => attname === 'oldest_program');
  const { rows } = await client.query<AppliedMigration>(`SELECT number, name, sha256, ${tellsOldest ? 'oldest_program' : 'NULL::int AS oldest_program'} FROM schema_migrations ORDER BY number`);
  return { exists: true, tellsOldest, rows };
}

/**
 * On a connection of its own, outside of a transaction. Its locks let rows be read and written, so
 * waiting for them harms nobody and only the whole is limited. An index that is there and valid was
 * finished by a node that died before it could say so.
 */
async function buildIndex(pool: Pool, migration: IndexMigration, limits: MigrateLimits): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query(`SET statement_timeout = ${Math.ceil(limits.indexBuildMs)}`);
    const { rows } = await client.query<{ indisvalid: boolean }>('SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)', [migration.index]);
    if (rows[0]?.indisvalid === true) return;
    if (rows[0] !== undefined) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS "${migration.index}"`);
    await client.query(migration.sql);
  } finally {
    // Never back to the pool: its timeout is not everybody's.
    client.release(true);
  }
}

async function toFailure(migration: Migration, cause: unknown, pool: Pool): Promise<PlatformError> {
  const details = { number: migration.number };
  if (sqlState(cause) !== LOCK_NOT_AVAILABLE) {
    return new PlatformError('internal', `Migration ${migration.number} (${migration.name}) failed and was rolled back; the ones before it are in place. ${describe(cause)}`, { details, cause });
  }
  const holders = await listOldTransactions(pool).catch(() => []);
  return new PlatformError(
    'unavailable',
    `Migration ${migration.number} (${migration.name}) could not get its lock and changed nothing: another session is at work on the table. ${holders.length === 0 ? '' : `The oldest transactions: ${holders.join('; ')}. `}End what should not be there (SELECT pg_terminate_backend(PID)) and start again.`,
    { details, cause },
  );
}

/** Who may hold the lock: never what they said, for it can hold values of rows. */
async function listOldTransactions(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ pid: number; application_name: string; state: string; seconds: number }>(
    `SELECT pid, application_name, state, extract(epoch FROM now() - xact_start)::int AS seconds FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < now() - interval '1 second' AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 3`,
  );
  return rows.map((row) => `pid ${row.pid} (${row.application_name === '' ? 'no name' : row.application_name}, ${row.state}, ${row.seconds} s)`);
}

function findEdited(applied: readonly AppliedMigration[], migrations: readonly Migration[]): PlatformError | null {
  for (const [index, row] of applied.entries()) {
    const known = migrations[index];
    if (known !== undefined && (row.number !== known.number || row.sha256 !== toSha256(known.sql))) {
      return new PlatformError('conflict', `Migration ${known.number} (${known.name}) is in the database with another text (${row.number}, ${row.name}). An applied migration may not be edited: start the version of the program that made this database, or restore the file and put the change into a new migration.`, {
        details: { number: known.number },
      });
    }
  }
  return null;
}

function findUnliveable(unknown: readonly AppliedMigration[], known: number): PlatformError | null {
  const row = unknown.find(({ number, oldest_program }) => (oldest_program ?? number) > known);
  if (row === undefined) return null;
  const oldest = row.oldest_program ?? row.number;
  return new PlatformError('conflict', `The database is newer than this program: it has migration ${row.number} (${row.name}), which needs a program that knows migration ${oldest}; this one ends at ${known}. Start the newer version of the program, or restore the backup made before the upgrade.`, {
    details: { found: row.number, known, oldest },
  });
}

/** Line ends do not count: a checkout on another system may change them. */
function toSha256(sql: string): string {
  return createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex');
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'Unknown error.';
}
