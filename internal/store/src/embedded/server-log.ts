import { copyFile, open, readFile, stat, truncate, type FileHandle } from 'node:fs/promises';

/** Two files of this size at most, and what the server writes between two looks. */
const LOG_LIMIT_BYTES = 8 * 1024 * 1024;
const LOG_CHECK_INTERVAL_MS = 30_000;
const TAIL_LINES = 12;
const TAIL_LIMIT_BYTES = 8 * 1024;

/** Opens the file that becomes the server's stderr. Append mode: several processes write, and the file can be cut under them. */
export async function openServerLog(path: string): Promise<FileHandle> {
  return open(path, 'a', 0o600);
}

/**
 * Moves a log that has grown too large to `<path>.1` and starts it anew. By copy and cut, since the
 * server keeps its descriptor for life; lines written between the two are lost, which a log may.
 */
export async function boundServerLog(path: string): Promise<void> {
  const { size } = await stat(path);
  if (size <= LOG_LIMIT_BYTES) return;
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
}

/** Bounds the log for as long as this process owns the server; call the answer to end it. */
export function keepServerLogBounded(path: string, log: (line: string) => void): () => void {
  const timer = setInterval(() => {
    boundServerLog(path).catch((error: unknown) => log(`The database log ${path} cannot be bounded: ${String(error)}`));
  }, LOG_CHECK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The last lines of the log from byte `from` on, for an error message. Empty when there are none. */
export async function readLogTail(path: string, from = 0): Promise<string> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  // The log may have been cut since `from` was taken.
  const fresh = bytes.subarray(from <= bytes.length ? from : 0).subarray(-TAIL_LIMIT_BYTES);
  return lastLines(fresh.toString('utf8'));
}

export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-TAIL_LINES).join('\n');
}
