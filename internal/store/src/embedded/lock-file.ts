import { randomBytes } from 'node:crypto';
import { link, readFile, rename, unlink } from 'node:fs/promises';
import { inspectProcess } from './process-state.ts';

/** What `postmaster.pid` (and, shorter, the lock file of the socket) says. */
export interface LockFile {
  readonly text: string;
  readonly pid: number;
  /** Undefined until the server has opened its socket. */
  readonly socketFolder: string | undefined;
  readonly isReady: boolean;
}

/** Reads a PostgreSQL lock file; undefined when there is none, or one that a server has only begun to write. */
export async function readLockFile(path: string): Promise<LockFile | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  // pid, data folder, start time, port, socket folder, TCP address, shared memory, status.
  const lines = text.split('\n');
  const pid = Number.parseInt(lines[0] ?? '', 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const socketFolder = lines[4]?.trim();
  return { text, pid, socketFolder: socketFolder === '' ? undefined : socketFolder, isReady: lines[7]?.trim() === 'ready' };
}

/**
 * Takes a lock file away when its process is provably not the postmaster of `dataFolder`.
 * PostgreSQL does so itself only when no process at all has the pid. Surviving backends of the
 * dead server are not overlooked: a new one also looks for attached shared memory by the folder's inode.
 */
export async function removeStaleLockFile(path: string, dataFolder: string): Promise<void> {
  const judged = await readLockFile(path);
  if (judged === undefined || (await inspectProcess(judged.pid, dataFolder)) === 'postmaster') return;
  // Another starter may have judged the same file and put its own there meanwhile: look again at what we took.
  const taken = `${path}.stale-${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, taken);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(taken, 'utf8')) !== judged.text) await link(taken, path).catch(() => undefined);
  await unlink(taken);
}
