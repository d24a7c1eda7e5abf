import pg from 'pg';
import type { Pool, PoolConfig } from 'pg';
import type { PlatformError } from '@openeaap/kernel';
import { systemClock } from '@openeaap/kernel';
import { migrate, migrations, openEmbeddedServer, toStoreError } from '@openeaap/store';

export interface Database {
  readonly pool: Pool;
  /** One connection of its own, with short limits: for probes, which must not wait behind the platform's work. */
  readonly probe: Pool;
  /** `embedded` or `external`: the embedded one has one owner, who knows that every earlier node is dead. */
  readonly kind: 'embedded' | 'external';
  readonly version: string;
  /** Resolves when the embedded server is lost while in use; the program must then end. */
  readonly died: Promise<PlatformError>;
  readonly close: () => Promise<void>;
}

/** 20: the lane and the notices hold one each; claims, the heartbeat and up to six readers of event pages come and go; the rest is for readers. */
const POOL_CONNECTIONS = 20;
const CONNECT_TIMEOUT_MS = 5_000;
/** How long a start waits for a database that cannot be reached. */
const REACH_LIMIT_MS = 30_000;
const REACH_PAUSE_MS = 1_000;
/** No statement of ours takes longer; one that does is a database in trouble. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A database that has not answered a probe by then is as bad as a dead one. */
export const PROBE_TIMEOUT_MS = 2_000;
/** Above every limit of migrate(): the answer to one statement, even an index over a large table. */
const MIGRATION_ANSWER_MS = 4_000_000;

/** Opens the store, brings its tables up to date and keeps idle connections from ending the process. */
export async function openDatabase(options: { readonly databaseUrl: string | null; readonly dataDir: string; readonly onError: (error: unknown) => void; readonly log: (line: string) => void }): Promise<Database> {
  const embedded = options.databaseUrl === null ? await openEmbeddedServer({ dataDir: options.dataDir, log: options.log }) : null;
  const open = (limits: PoolLimits): Pool => openPool({ ...(embedded === null ? { connectionString: options.databaseUrl ?? '' } : embedded.connection), ...limits }, options.onError);
  const pool = open({ application_name: 'openeaap', max: POOL_CONNECTIONS, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, statement_timeout: STATEMENT_TIMEOUT_MS, query_timeout: STATEMENT_TIMEOUT_MS + 5_000 });
  const probe = open({ application_name: 'openeaap probe', max: 1, connectionTimeoutMillis: PROBE_TIMEOUT_MS, statement_timeout: PROBE_TIMEOUT_MS, query_timeout: PROBE_TIMEOUT_MS });
  const close = async (): Promise<void> => {
    await Promise.all([pool.end(), probe.end()]);
    await embedded?.close();
  };
  try {
    await untilReached(() => migrateApart(open), options.log);
    return { pool, probe, kind: embedded === null ? 'external' : 'embedded', version: embedded?.version ?? '', died: embedded?.died ?? new Promise(() => undefined), close };
  } catch (thrown) {
    await close().catch(options.onError);
    throw toStoreError(thrown);
  }
}

type PoolLimits = Required<Pick<PoolConfig, 'application_name' | 'max' | 'connectionTimeoutMillis' | 'query_timeout'>> & Pick<PoolConfig, 'statement_timeout'>;

function openPool(config: PoolConfig, onError: (error: unknown) => void): Pool {
  const pool = new pg.Pool(config);
  pool.on('error', onError);
  // The pool listens to idle clients alone; one that is in use, or on its way out, must not end the process either.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/**
 * A database that is starting, or failing over, is waited for: a node that gives up at once is started again and again by
 * whoever supervises it. What will not change by waiting (a wrong password, no such database) ends the start at once.
 */
async function untilReached(work: () => Promise<void>, log: (line: string) => void): Promise<void> {
  const until = performance.now() + REACH_LIMIT_MS;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (toStoreError(thrown).code !== 'unavailable' || performance.now() + REACH_PAUSE_MS > until) throw thrown;
      log(`the database does not answer; trying for ${Math.round((until - performance.now()) / 1_000)} s more`);
      await systemClock.sleep(REACH_PAUSE_MS);
    }
  }
}

/** Migrations have limits of their own: building an index takes longer than any statement of the platform may. */
async function migrateApart(open: (limits: PoolLimits) => Pool): Promise<void> {
  const pool = open({ application_name: 'openeaap migration', max: 2, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, query_timeout: MIGRATION_ANSWER_MS });
  try {
    await migrate(pool, migrations);
  } finally {
    await pool.end();
  }
}
