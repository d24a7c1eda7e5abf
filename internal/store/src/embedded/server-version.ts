import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { lastLines } from './server-log.ts';
import { runCommand } from './run-command.ts';
import type { ServerAccount } from './server-account.ts';

const VERSION_TIMEOUT_MS = 20_000;
/** `client_connection_check_interval` and the SQL of the platform need no newer one. */
const OLDEST_MAJOR = 15;

/** Asks the server program for its version. Throws `unsupported` when it cannot run here or is too old. */
export async function readServerMajor(binDir: string, account: ServerAccount): Promise<number> {
  const file = join(binDir, 'postgres');
  const result = await runCommand(file, ['--version'], { account, timeoutMs: VERSION_TIMEOUT_MS }).catch((cause: NodeJS.ErrnoException) => {
    throw cannotRun(file, account, explain(cause, account), cause);
  });
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(result.output)?.[1] ?? Number.NaN);
  if (result.exitCode !== 0 || Number.isNaN(major)) throw cannotRun(file, account, lastLines(result.output), undefined);
  if (major < OLDEST_MAJOR) {
    throw new PlatformError('unsupported', `"${file}" is PostgreSQL ${major}; ${OLDEST_MAJOR} or later is needed.`, { details: { path: file, version: major } });
  }
  return major;
}

function explain(cause: NodeJS.ErrnoException, account: ServerAccount): string {
  if (cause.code === 'ENOENT') return 'its loader is missing, as on a system without glibc such as Alpine Linux';
  if (cause.code === 'EPERM' || cause.code === 'EINVAL') return `this process is root but may not switch to uid ${account.uid} (a container without CAP_SETUID?)`;
  return cause.message;
}

function cannotRun(file: string, account: ServerAccount, reason: string, cause: unknown): PlatformError {
  return new PlatformError(
    'unsupported',
    `The database server "${file}" does not run on this machine (${process.platform}-${process.arch}) as uid ${account.uid}: ${reason}. Set DATABASE_URL to a PostgreSQL server (${OLDEST_MAJOR} or later) of your own.`,
    { details: { path: file }, cause },
  );
}

/** Throws `conflict` when the data folder was made by another major version than `major`. */
export async function checkDataVersion(dataFolder: string, major: number): Promise<void> {
  const found = (await readFile(join(dataFolder, 'PG_VERSION'), 'utf8')).trim();
  if (found === String(major)) return;
  throw new PlatformError(
    'conflict',
    `The data folder "${dataFolder}" was made by PostgreSQL ${found}, but the server program is PostgreSQL ${major}, which cannot read it. Give the programs of version ${found} (binDir), or carry the data over: dump it with ${found} (pg_dump), move the folder away, start again and restore.`,
    { details: { path: dataFolder, found, expected: String(major) } },
  );
}
