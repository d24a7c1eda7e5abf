import { createHash } from 'node:crypto';
import { access, constants, lstat, realpath, rmdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Client } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { toTotalOptions, type EmbeddedServerOptions, type TotalOptions } from './embedded-options.ts';
import { SUPERUSER, ensureCluster, type ClusterPaths } from './init-cluster.ts';
import { locateBinaries } from './locate-binaries.ts';
import { inspectProcess, waitUntilGone } from './process-state.ts';
import { reachServer, tryConnect, type ReachedServer } from './reach-server.ts';
import { chooseServerAccount, findImpassableFolder, makePassableFolder, type ServerAccount } from './server-account.ts';
import { keepServerLogBounded } from './server-log.ts';
import { takeOwnership } from './server-ownership.ts';
import { SERVER_PORT } from './server-settings.ts';
import { checkDataVersion, readServerMajor } from './server-version.ts';
import { startPostmaster } from './start-postmaster.ts';
import { superviseOwnership, type Supervision } from './supervise-ownership.ts';

/** What `pg` needs to connect; `host` is the folder of the Unix socket. */
export interface ServerConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A running PostgreSQL server that this process owns. */
export interface EmbeddedServer {
  readonly connection: ServerConnection;
  /** The same as `postgres://` URL, for `pg` and libpq. Holds the password: never log it. */
  readonly url: string;
  /** The server was running already: it outlived the process that started it. */
  readonly adopted: boolean;
  /** Of the postmaster. */
  readonly pid: number;
  /** As PostgreSQL says it, for example "18.4". */
  readonly version: string;
  /** Resolves, never rejects, when the server or the ownership of it is lost while open; the program should then exit loudly. */
  readonly died: Promise<PlatformError>;
  /** Ends every session, stops the server cleanly and gives up the folder. May be called more than once. */
  close(): Promise<void>;
}

export const DATABASE = 'openeaap';
/** After the immediate shutdown has been asked for. */
const KILL_PATIENCE_MS = 5_000;

/**
 * Opens the embedded database of a state folder: makes it on first use, starts its server or adopts
 * the one that outlived its owner, and takes the ownership of the folder.
 *
 * Throws PlatformError: `conflict` (another process owns the folder; data of another major version),
 * `unsupported` (no programs for this platform), `permission_denied` (a folder that the server's
 * account cannot enter), `unavailable` (it does not start; the message ends with its log), `invalid_input`.
 */
export async function openEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const total = toTotalOptions(options);
  const { paths, account } = await prepareStateFolder(total);
  const binDir = await locateBinaries({ binDir: total.binDir, platform: process.platform, arch: process.arch }, account, paths.home);
  const major = await readServerMajor(binDir, account);
  const password = await ensureCluster(paths, { binDir, major, account, sync: total.durability === 'full' });
  await checkDataVersion(paths.data, major);
  const reached = await reachServer({
    paths,
    account,
    password,
    timeoutMs: total.startTimeoutMs,
    start: () => startPostmaster(binDir, paths, account, total),
  });
  try {
    await takeOwnership(reached.client, total.dataDir);
    await ensureDatabase(reached.client);
    return await toEmbeddedServer({ total, paths, account, password, reached });
  } catch (error) {
    await reached.client.end().catch(() => undefined);
    throw error;
  }
}

interface StateFolder {
  readonly paths: ClusterPaths;
  readonly account: ServerAccount;
}

async function prepareStateFolder(options: TotalOptions): Promise<StateFolder> {
  const dataDir = resolve(options.dataDir);
  const account = await chooseServerAccount(join(dataDir, 'postgres', 'data'));
  await placeHome(dataDir, account, options).catch((cause: NodeJS.ErrnoException) => {
    throw new PlatformError('permission_denied', `The state folder "${dataDir}" cannot be made (${cause.code ?? cause.message}). Choose another, or create it and give it to this user.`, { details: { path: dataDir }, cause });
  });
  const home = await realpath(join(dataDir, 'postgres'));
  const impassable = await findImpassableFolder(home, account);
  if (impassable !== undefined) {
    throw new PlatformError(
      'permission_denied',
      `PostgreSQL does not run as root, so it runs as uid ${account.uid}, which may not enter "${impassable}" on the way to the state folder. Run "chmod o+x ${impassable}", choose a state folder elsewhere (for example /var/lib/openeaap), or run this program as an ordinary user.`,
      { details: { path: impassable, uid: account.uid } },
    );
  }
  const paths = { home, data: join(home, 'data'), password: join(home, 'password'), log: join(home, 'server.log') };
  await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
    .then(() => access(paths.data, constants.R_OK | constants.W_OK | constants.X_OK))
    .catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return;
      throw new PlatformError('permission_denied', `"${home}" belongs to another user than uid ${account.uid}. Start the program as the user that made it, or give the folder to this one (chown -R).`, { details: { path: home }, cause });
    });
  return { paths, account };
}

/**
 * Makes `<dataDir>/postgres`. Root's own folders (a clone in /root) are closed to the account that the
 * server has to run under; then the database lies in `rootHome`, and `postgres` is a link to it.
 */
async function placeHome(dataDir: string, account: ServerAccount, options: TotalOptions): Promise<void> {
  const home = join(dataDir, 'postgres');
  const isNew = await lstat(home).then(() => false, () => true);
  await makePassableFolder(dataDir, account);
  if (!isNew || (await findImpassableFolder(await realpath(dataDir), account)) === undefined) return makePassableFolder(home, account);
  const elsewhere = join(options.rootHome, createHash('sha256').update(await realpath(dataDir)).digest('hex').slice(0, 16));
  await makePassableFolder(elsewhere, account);
  options.log(`uid ${account.uid}, under which PostgreSQL has to run, may not enter "${dataDir}": the database lies in "${elsewhere}".`);
  await symlink(elsewhere, home).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

async function ensureDatabase(client: Client): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
}

interface OpenServer extends StateFolder {
  readonly total: TotalOptions;
  readonly password: string;
  readonly reached: ReachedServer;
}

async function toEmbeddedServer(open: OpenServer): Promise<EmbeddedServer> {
  const { total, paths, account, password, reached } = open;
  const { rows } = await reached.client.query<{ version: string }>(`SELECT split_part(current_setting('server_version'), ' ', 1) AS version`);
  const connection: ServerConnection = { host: reached.socketFolder, port: SERVER_PORT, user: SUPERUSER, password, database: DATABASE };
  const supervision = superviseOwnership({
    dataDir: total.dataDir,
    dataFolder: paths.data,
    pid: reached.pid,
    postmaster: reached.postmaster,
    client: reached.client,
    reconnect: () => tryConnect(reached, { account, password, paths }),
    log: total.log,
  });
  const stopBounding = keepServerLogBounded(paths.log, total.log);
  const adopted = reached.postmaster === undefined;
  const version = rows[0]?.version ?? '';
  total.log(`${adopted ? 'Adopted the running' : 'Started the'} embedded PostgreSQL ${version}, pid ${reached.pid}, in ${paths.home}.`);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    stopBounding();
    closed ??= closeServer(open, supervision);
    return closed;
  };
  return { connection, url: toUrl(connection), adopted, pid: reached.pid, version, died: supervision.died, close };
}

/** The socket folder is a parameter, not the host, so that every URL parser can read it; libpq and pg both let it win. */
export function toUrl(connection: ServerConnection): string {
  const { host, port, user, password, database } = connection;
  return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@localhost/${encodeURIComponent(database)}?host=${encodeURIComponent(host)}&port=${port}`;
}

/**
 * The lock is held until the server is gone, so that nobody adopts a server that is being stopped.
 * SIGINT is the fast shutdown: open transactions roll back. SIGQUIT, after `stopTimeoutMs`, stops at
 * once and costs the next start a crash recovery, but no committed row.
 */
async function closeServer(open: OpenServer, supervision: Supervision): Promise<void> {
  const { total, paths, reached } = open;
  supervision.release();
  try {
    if (await stopWith('SIGINT', open, total.stopTimeoutMs)) return;
    total.log(`The database server did not stop within ${total.stopTimeoutMs} ms; it is made to stop at once.`);
    if (await stopWith('SIGQUIT', open, KILL_PATIENCE_MS)) return;
    throw new PlatformError('unavailable', `The database server (pid ${reached.pid}) in "${paths.home}" does not stop.`, { details: { path: paths.home, pid: reached.pid } });
  } finally {
    await supervision.disconnect();
    // Left alone while anything is in it, such as the socket of a server that another process has just started.
    await rmdir(reached.socketFolder).catch(() => undefined);
  }
}

async function stopWith(signal: NodeJS.Signals, open: OpenServer, timeoutMs: number): Promise<boolean> {
  const { paths, reached } = open;
  if ((await inspectProcess(reached.pid, paths.data)) !== 'postmaster') return true;
  try {
    process.kill(reached.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    throw error;
  }
  return waitUntilGone(reached.pid, paths.data, timeoutMs);
}
