import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectProcess } from './process-state.ts';
import { SUPERUSER } from './init-cluster.ts';
import { readLockFile } from './lock-file.ts';
import { DATABASE, type ServerConnection } from './open-embedded-server.ts';
import { isTrusted } from './reach-server.ts';
import { chooseServerAccount, type ServerAccount } from './server-account.ts';
import { SERVER_PORT } from './server-settings.ts';

/** The running server of a state folder, for a program that does not own it. */
export interface RunningServer {
  readonly connection: ServerConnection;
  readonly pid: number;
  /** Real path of `<dataDir>/postgres`. */
  readonly home: string;
  /** Under which the server runs, and to which its files belong. */
  readonly account: ServerAccount;
}

/** null: no server runs on this state folder. Starts nothing and takes no ownership. */
export async function findRunningServer(dataDir: string): Promise<RunningServer | null> {
  const home = await realpath(join(dataDir, 'postgres')).catch(() => null);
  if (home === null) return null;
  const data = join(home, 'data');
  const lock = await readLockFile(join(data, 'postmaster.pid'));
  if (lock?.socketFolder === undefined || (await inspectProcess(lock.pid, data)) !== 'postmaster') return null;
  const account = await chooseServerAccount(data);
  if (!(await isTrusted(lock.socketFolder, account))) return null;
  const password = (await readFile(join(home, 'password'), 'utf8')).trim();
  return { connection: { host: lock.socketFolder, port: SERVER_PORT, user: SUPERUSER, password, database: DATABASE }, pid: lock.pid, home, account };
}
