import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { lastLines } from './server-log.ts';
import { runCommand } from './run-command.ts';
import { giveToServer, type ServerAccount } from './server-account.ts';

const INIT_TIMEOUT_MS = 180_000;
/** An unfinished folder older than this belongs to nobody: INIT_TIMEOUT_MS has ended its initdb. */
const LEFTOVER_AGE_MS = 10 * 60_000;

export const SUPERUSER = 'openeaap';

export interface ClusterPaths {
  /** `<dataDir>/postgres` */
  readonly home: string;
  readonly data: string;
  readonly password: string;
  readonly log: string;
}

export interface InitOptions {
  readonly binDir: string;
  readonly major: number;
  readonly account: ServerAccount;
  readonly sync: boolean;
}

/**
 * Makes sure of the password and the data folder, and answers the password. The data folder appears
 * in one step (initdb works beside it, then it is renamed), so a program killed at any point leaves
 * either nothing or all of it; of two that start together one wins and both go on with the same folder.
 */
export async function ensureCluster(paths: ClusterPaths, options: InitOptions): Promise<string> {
  await removeLeftovers(paths.home);
  if (await hasCluster(paths.data)) return readPassword(paths);
  const password = await ensurePassword(paths);
  const suffix = `.init-${randomBytes(6).toString('hex')}`;
  const part = paths.data + suffix;
  const passwordCopy = paths.password + suffix;
  try {
    await mkdir(part, { mode: 0o700 });
    await giveToServer(part, options.account);
    await writeFile(passwordCopy, password, { mode: 0o600, flag: 'wx' });
    await giveToServer(passwordCopy, options.account);
    await runInitdb(part, passwordCopy, options);
    await publish(part, paths);
  } finally {
    await rm(passwordCopy, { force: true });
    await rm(part, { recursive: true, force: true });
  }
  return password;
}

export async function hasCluster(dataFolder: string): Promise<boolean> {
  return (await stat(join(dataFolder, 'PG_VERSION')).catch(() => undefined)) !== undefined;
}

async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const path = join(home, name);
    if (!/\.init-[0-9a-f]{12}$/.test(name)) continue;
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > LEFTOVER_AGE_MS) await rm(path, { recursive: true, force: true });
  }
}

/** The first password written is everybody's: link() fails where there is one. */
async function ensurePassword(paths: ClusterPaths): Promise<string> {
  const part = `${paths.password}.init-${randomBytes(6).toString('hex')}`;
  await writeFile(part, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx', flush: true });
  try {
    await link(part, paths.password);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(part);
  }
  return readPassword(paths);
}

async function readPassword(paths: ClusterPaths): Promise<string> {
  const password = await readFile(paths.password, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const cure = cause.code === 'EACCES' ? 'Start the program as the user that made the folder.' : 'Restore the file from your backup of the state folder.';
    throw new PlatformError('conflict', `The database password cannot be read from "${paths.password}" (${cause.code ?? 'error'}). ${cure}`, { details: { path: paths.password }, cause });
  });
  await chmod(paths.password, 0o600);
  return password;
}

async function runInitdb(folder: string, passwordFile: string, options: InitOptions): Promise<void> {
  const args = ['--pgdata', folder, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'];
  // Built into the server since 17: the order of C, and upper() and lower() for all of Unicode.
  if (options.major >= 17) args.push('--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8');
  if (!options.sync) args.push('--no-sync');
  const result = await runCommand(join(options.binDir, 'initdb'), args, { account: options.account, timeoutMs: INIT_TIMEOUT_MS });
  if (result.exitCode === 0) return;
  if (result.output.includes('could not look up effective user ID')) throw nameless(options.account);
  throw new PlatformError('unavailable', `The database folder cannot be made in "${folder}" (initdb ended with ${result.exitCode ?? 'a signal'}); nothing is left of it. Its last lines:\n${lastLines(result.output)}`, {
    details: { path: folder },
  });
}

/** initdb asks for the user's name and gives up without one, though it makes no use of it; the server itself never asks. */
function nameless({ uid }: ServerAccount): PlatformError {
  return new PlatformError(
    'unsupported',
    `PostgreSQL can make its data folder only under a user that has a name, and uid ${uid} has none in /etc/passwd (a container started with an arbitrary uid?). Start the program as a user that has (in the official Node images: "node", 1000), add a line for ${uid} to /etc/passwd, or set DATABASE_URL to a PostgreSQL server of your own.`,
    { details: { uid } },
  );
}

async function publish(part: string, paths: ClusterPaths): Promise<void> {
  try {
    await rename(part, paths.data);
  } catch (cause) {
    if (await hasCluster(paths.data)) return;
    throw new PlatformError('conflict', `"${paths.data}" exists but is no database folder. Move it away and start again.`, { details: { path: paths.data }, cause });
  }
  const home = await open(paths.home, 'r');
  try {
    await home.sync();
  } finally {
    await home.close();
  }
}
