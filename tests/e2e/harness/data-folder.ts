import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { waitUntil } from './wait-until.ts';

/** A state folder of its own for one platform. */
export interface DataFolder {
  readonly path: string;
  /** Of the embedded database server, or null when none runs. */
  readonly postmasterPid: () => Promise<number | null>;
  /** `kill -9` of the embedded database server, and waits until it is gone. */
  readonly killPostmaster: () => Promise<void>;
  /** A superuser's connection to the embedded database, past the platform. */
  readonly query: (text: string, values?: readonly unknown[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Stops a database server that outlived its platform, then deletes the folder. */
  readonly remove: () => Promise<void>;
}

export async function createDataFolder(): Promise<DataFolder> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'openeaap-e2e-')));
  // The database server may run under another account than the tests.
  await chmod(folder, 0o711);
  return {
    path: folder,
    postmasterPid: async () => (await readLock(folder))?.pid ?? null,
    killPostmaster: () => endPostmaster(folder, 'SIGKILL'),
    query: (text, values = []) => query(folder, text, values),
    remove: async () => {
      const lock = await readLock(folder);
      await endPostmaster(folder, 'SIGQUIT');
      if (lock?.socketFolder.includes('openeaap-') === true) await rm(lock.socketFolder, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Lock {
  readonly pid: number;
  readonly socketFolder: string;
}

/** The lock of a server that really runs on this folder: a pid alone may be somebody else's by now. */
async function readLock(folder: string): Promise<Lock | null> {
  const text = await readFile(path.join(folder, 'postgres/data/postmaster.pid'), 'utf8').catch(() => '');
  const [pid = '', , , , socketFolder = ''] = text.split('\n');
  const command = await readFile(`/proc/${Number(pid)}/cmdline`, 'utf8').catch(() => '');
  return command.includes(folder) ? { pid: Number(pid), socketFolder: socketFolder.trim() } : null;
}

async function endPostmaster(folder: string, signal: NodeJS.Signals): Promise<void> {
  const lock = await readLock(folder);
  if (lock === null) return;
  process.kill(lock.pid, signal);
  await waitUntil('the database server is gone', async () => (await readFile(`/proc/${lock.pid}/cmdline`, 'utf8').catch(() => '')) === '');
}

async function query(folder: string, text: string, values: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const lock = await readLock(folder);
  if (lock === null) throw new Error('no embedded database runs');
  const password = await readFile(path.join(folder, 'postgres/password'), 'utf8');
  const client = new pg.Client({ host: lock.socketFolder, port: 5432, user: 'openeaap', password, database: 'openeaap' });
  await client.connect();
  try {
    const result = await client.query<Readonly<Record<string, unknown>>>(text, [...values]);
    return result.rows;
  } finally {
    await client.end();
  }
}
