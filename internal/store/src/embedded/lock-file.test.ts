import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLockFile, removeStaleLockFile } from './lock-file.ts';
import { inspectProcess } from './process-state.ts';

let folder: string;
let lock: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openeaap-lock-'));
  lock = join(folder, 'postmaster.pid');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the lock file of a server', () => {
  test('is read as PostgreSQL writes it', async () => {
    await writeFile(lock, '4711\n/data\n1700000000\n5432\n/tmp/openeaap-1\n\n  1 2\nready   \n');
    expect(await readLockFile(lock)).toMatchObject({ pid: 4711, socketFolder: '/tmp/openeaap-1', isReady: true });
    await writeFile(lock, '4711\n/data\n1700000000\n5432\n');
    expect(await readLockFile(lock)).toMatchObject({ pid: 4711, socketFolder: undefined, isReady: false });
  });

  test.each(['', 'x\n', '-1\n', '0\n'])('that says %j is as none', async (text) => {
    await writeFile(lock, text);
    expect(await readLockFile(lock)).toBeUndefined();
  });

  test('that is not there is none', async () => {
    expect(await readLockFile(lock)).toBeUndefined();
  });

  test('is taken away when its pid now belongs to another program', async () => {
    await writeFile(lock, `${process.pid}\n${folder}\n`);
    expect(await inspectProcess(process.pid, folder)).toBe('other');
    await Promise.all([removeStaleLockFile(lock, folder), removeStaleLockFile(lock, folder)]);
    expect(await readdir(folder)).toEqual([]);
  });

  test('is taken away when its process is gone', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    await writeFile(lock, `${child.pid}\n${folder}\n`);
    await removeStaleLockFile(lock, folder);
    expect(await readdir(folder)).toEqual([]);
  });
});
