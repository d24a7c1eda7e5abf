import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { SUPERUSER, type ClusterPaths } from './init-cluster.ts';
import { readLockFile, type LockFile } from './lock-file.ts';
import { inspectProcess } from './process-state.ts';
import type { ServerAccount } from './server-account.ts';
import { toOwnerName } from './server-ownership.ts';
import { SERVER_PORT } from './server-settings.ts';
import type { Postmaster } from './start-postmaster.ts';

export interface ReachOptions {
  readonly paths: ClusterPaths;
  readonly account: ServerAccount;
  readonly password: string;
  readonly timeoutMs: number;
  readonly start: () => Promise<Postmaster>;
}

export interface ReachedServer {
  /** Connected to the database `postgres`. */
  readonly client: Client;
  readonly pid: number;
  readonly socketFolder: string;
  /** Our child; undefined when the server was there already, or another process's start was faster. */
  readonly postmaster: Postmaster | undefined;
}

const POLL_MS = 15;
/** How long a server that calls itself ready may be out of reach at its socket. */
const UNREACHABLE_LIMIT_MS = 5_000;
/** Between two starts, while backends of a killed server still hold its shared memory. */
const RESTART_DELAY_MS = 150;

/**
 * Connects to the server of the folder: the one that runs, or else one that it starts. Two processes
 * may do so at once: PostgreSQL's own lock file lets one server live, and both end up connected to it.
 */
export async function reachServer(options: ReachOptions): Promise<ReachedServer> {
  const deadline = Date.now() + options.timeoutMs;
  const lockPath = join(options.paths.data, 'postmaster.pid');
  let started: Postmaster | undefined;
  let unreachableSince: number | undefined;
  while (Date.now() < deadline) {
    const lock = await readLockFile(lockPath);
    const lives = lock !== undefined && (await inspectProcess(lock.pid, options.paths.data)) === 'postmaster';
    if (lives) {
      const client = await tryConnect(lock, options);
      if (client !== undefined) return { client, pid: lock.pid, socketFolder: lock.socketFolder ?? '', postmaster: started?.pid === lock.pid ? started : undefined };
      unreachableSince = lock.isReady ? (unreachableSince ?? Date.now()) : undefined;
      if (unreachableSince !== undefined && Date.now() - unreachableSince > UNREACHABLE_LIMIT_MS) throw unreachable(lock, options.paths);
    } else if (started === undefined) {
      started = await options.start();
    } else if (started.exitReason() !== undefined) {
      await checkRetryable(started, options.paths);
      await delay(RESTART_DELAY_MS);
      started = undefined;
    }
    await delay(POLL_MS);
  }
  const seconds = Math.round(options.timeoutMs / 1000);
  throw new PlatformError('unavailable', `The database server in "${options.paths.home}" did not answer within ${seconds} s. If it is recovering from a crash it goes on; start again in a while. Its log is ${options.paths.log}; the last lines:\n${(await started?.readLog()) ?? ''}`, {
    details: { path: options.paths.home },
  });
}

/** Opens one more connection of the kind that holds the ownership. Undefined while the server cannot be reached. */
export async function tryConnect(lock: Pick<LockFile, 'socketFolder'>, options: Pick<ReachOptions, 'account' | 'password' | 'paths'>): Promise<Client | undefined> {
  if (lock.socketFolder === undefined || !(await isTrusted(lock.socketFolder, options.account))) return undefined;
  const client = new Client({
    host: lock.socketFolder,
    port: SERVER_PORT,
    user: SUPERUSER,
    password: options.password,
    database: 'postgres',
    application_name: toOwnerName(process.pid),
  });
  // A broken connection is seen by 'end'; without a listener the 'error' before it would end the program.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    const code = (error as { readonly code?: string }).code ?? '';
    if (!code.startsWith('28')) return undefined;
    throw new PlatformError('conflict', `The running database server does not accept the password in "${options.paths.password}". Restore the file from your backup of the state folder.`, { details: { path: options.paths.password }, cause: error });
  }
}

/** The password is only offered at a socket in a folder that the server's account owns. */
export async function isTrusted(socketFolder: string, account: ServerAccount): Promise<boolean> {
  const found = await lstat(socketFolder).catch(() => undefined);
  return found !== undefined && found.isDirectory() && found.uid === account.uid;
}

/**
 * A start may fail for reasons that pass: another process's server was faster, is stopping, or
 * backends of a killed server still hold the shared memory. Everything else is thrown.
 */
async function checkRetryable(postmaster: Postmaster, paths: ClusterPaths): Promise<void> {
  const log = await postmaster.readLog();
  if (/lock file ".*" already exists|shared memory block|could not create lock file .*: No such file/.test(log)) return;
  throw new PlatformError('unavailable', `The database server in "${paths.home}" ended while starting (${postmaster.exitReason() ?? 'unknown'}). Its log is ${paths.log}; the last lines:\n${log}`, { details: { path: paths.home } });
}

function unreachable(lock: LockFile, paths: ClusterPaths): PlatformError {
  return new PlatformError('conflict', `A database server (pid ${lock.pid}) runs on "${paths.data}" but cannot be reached at its socket in "${lock.socketFolder ?? 'an unknown folder'}", which may have been deleted. Stop it with "kill -INT ${lock.pid}" and start again.`, {
    details: { path: paths.data, pid: lock.pid },
  });
}
