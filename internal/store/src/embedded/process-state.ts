import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** `other`: the pid belongs to a living process, which is not the postmaster of this data folder. */
export type ProcessState = 'gone' | 'other' | 'postmaster';

const EXIT_POLL_MS = 15;

/**
 * Tells whether `pid` is the postmaster of `dataFolder` (a real path). A pid alone proves nothing:
 * after a container restart the small pid in a stale lock file belongs to somebody else, and a
 * killed server stays a zombie where pid 1 does not reap. In doubt the answer is `postmaster`.
 */
export async function inspectProcess(pid: number, dataFolder: string): Promise<ProcessState> {
  if (!isSignalable(pid)) return 'gone';
  const found = process.platform === 'linux' ? await readLinuxProcess(pid) : await readOtherProcess(pid);
  if (found === undefined) return isSignalable(pid) ? 'postmaster' : 'gone';
  if (found.isDead) return 'gone';
  if (!found.command.startsWith('postgres')) return 'other';
  return found.folder !== undefined && found.folder !== dataFolder ? 'other' : 'postmaster';
}

/** Waits until the process is gone; false when it still lives after `timeoutMs`. */
export async function waitUntilGone(pid: number, dataFolder: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while ((await inspectProcess(pid, dataFolder)) === 'postmaster') {
    if (Date.now() > deadline) return false;
    await delay(EXIT_POLL_MS);
  }
  return true;
}

interface FoundProcess {
  readonly isDead: boolean;
  readonly command: string;
  /** The working folder, which for a postmaster is its data folder; undefined when we may not know. */
  readonly folder: string | undefined;
}

function isSignalable(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function readLinuxProcess(pid: number): Promise<FoundProcess | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (line === undefined) return undefined;
  // "pid (command) state ...": the command itself may hold parentheses.
  const end = line.lastIndexOf(')');
  const state = line.charAt(end + 2);
  return {
    isDead: state === 'Z' || state === 'X',
    command: line.slice(line.indexOf('(') + 1, end),
    folder: await readlink(`/proc/${pid}/cwd`).catch(() => undefined),
  };
}

async function readOtherProcess(pid: number): Promise<FoundProcess | undefined> {
  const answer = await promisify(execFile)('/bin/ps', ['-o', 'state=,ucomm=', '-p', String(pid)]).catch(() => undefined);
  const match = /^\s*(\S+)\s+(.+?)\s*$/.exec(answer?.stdout ?? '');
  if (match === null) return undefined;
  return { isDead: match[1]?.startsWith('Z') ?? false, command: match[2] ?? '', folder: undefined };
}
