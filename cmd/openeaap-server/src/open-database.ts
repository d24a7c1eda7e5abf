import pg from 'pg';
import type { Pool } from 'pg';
import type { PlatformError } from '@openeaap/kernel';
import { migrate, migrations, openEmbeddedServer, toStoreError } from '@openeaap/store';

export interface Database {
  readonly pool: Pool;
  /** `embedded` or `external`: the embedded one has one owner, who knows that every earlier node is dead. */
  readonly kind: 'embedded' | 'external';
  readonly version: string;
  /** Resolves when the embedded server is lost while in use; the program must then end. */
  readonly died: Promise<PlatformError>;
  readonly close: () => Promise<void>;
}

/** 20: the lane, the claims and the heartbeat take one each; the rest is for readers. */
const POOL_CONNECTIONS = 20;
const CONNECT_TIMEOUT_MS = 5_000;
/** No statement of ours takes longer; one that does is a database in trouble. */
const STATEMENT_TIMEOUT_MS = 30_000;

/** Opens the store, brings its tables up to date and keeps idle connections from ending the process. */
export async function openDatabase(options: { readonly databaseUrl: string | null; readonly dataDir: string; readonly onError: (error: unknown) => void; readonly log: (line: string) => void }): Promise<Database> {
  const embedded = options.databaseUrl === null ? await openEmbeddedServer({ dataDir: options.dataDir, log: options.log }) : null;
  const pool = new pg.Pool({
    ...(embedded === null ? { connectionString: options.databaseUrl ?? '' } : embedded.connection),
    max: POOL_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 5_000,
    application_name: 'openeaap',
  });
  pool.on('error', options.onError);
  // The pool listens to idle clients alone; one that is in use, or on its way out, must not end the process either.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const close = async (): Promise<void> => {
    await pool.end();
    await embedded?.close();
  };
  try {
    await migrate(pool, migrations);
    return { pool, kind: embedded === null ? 'external' : 'embedded', version: embedded?.version ?? '', died: embedded?.died ?? new Promise(() => undefined), close };
  } catch (thrown) {
    await close().catch(options.onError);
    throw toStoreError(thrown);
  }
}
