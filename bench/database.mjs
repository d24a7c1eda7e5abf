// One PostgreSQL server for everybody, with its durability on; a database for each engine; and what the server itself says
// about how much was written.
import * as sql from '@openeaap/store';
import { pg } from './steps.mjs';

const QUIET_POLL_MS = 25;
/** Writes that an engine makes behind its own back (LangGraph's "async") begin some time after the call that they belong to. */
const QUIET_FOR_MS = 200;
const QUIET_LIMIT_MS = 5_000;

/** Without a `databaseUrl`: the server that the product brings along. The databases are dropped at the end either way. */
export async function openDatabases({ dataDir, databaseUrl }) {
  const embedded = databaseUrl === undefined ? await sql.openEmbeddedServer({ dataDir }) : null;
  const base = new URL(databaseUrl ?? embedded.url);
  const admin = openPool(base.href, 2);
  const { rows } = await admin.query(`SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit`);
  const made = new Set();
  return {
    version: rows[0].version,
    settings: `fsync ${rows[0].fsync}, synchronous_commit ${rows[0].synchronous_commit}`,
    create: async (name) => {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.query(`CREATE DATABASE ${name}`);
      made.add(name);
      const url = new URL(base);
      url.pathname = `/${name}`;
      return openDatabase(url.href);
    },
    drop: async (name) => {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      made.delete(name);
    },
    close: async () => {
      for (const name of made) await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.end();
      await embedded?.close();
    },
  };
}

function openDatabase(url) {
  const pool = openPool(url, 2);
  const one = async (text) => Number(Object.values((await pool.query(text)).rows[0])[0]);
  const walBytes = () => one(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')`);
  return {
    url,
    pool,
    query: (text, values) => pool.query(text, values),
    /** Of the whole server: only one engine works at a time. */
    walBytes,
    /** Tables with their indexes and TOAST. */
    storedBytes: () => one(`SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND ${OWN_SCHEMAS}`),
    /** Rows inserted, updated or deleted, as the server counts them; exact once the engine's connections are closed. */
    rowWrites: () => one(`SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables`),
    /** Bytes of the rows that are there now, without indexes, free space and dead rows: fine enough for a single step. */
    liveBytes: async () => {
      const { rows } = await pool.query(`SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND ${OWN_SCHEMAS}`);
      return one(`SELECT ${rows.map(({ name }) => `(SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM ${name} t)`).join(' + ')}`);
    },
    /** Waits until nothing has been written for a while. */
    quiet: async () => {
      const until = performance.now() + QUIET_LIMIT_MS;
      let last = await walBytes();
      for (let since = performance.now(); performance.now() - since < QUIET_FOR_MS && performance.now() < until; ) {
        await new Promise((resolve) => setTimeout(resolve, QUIET_POLL_MS));
        const now = await walBytes();
        if (now !== last) since = performance.now();
        last = now;
      }
    },
    close: () => pool.end(),
  };
}

const OWN_SCHEMAS = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'`;

function openPool(connectionString, max) {
  const pool = new pg.Pool({ connectionString, max });
  pool.on('error', () => undefined);
  return pool;
}
