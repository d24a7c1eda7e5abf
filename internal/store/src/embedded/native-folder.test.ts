import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { prepareNativeFolder } from './native-folder.ts';
import type { ServerAccount } from './server-account.ts';

const SELF: ServerAccount = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, switched: false };
const NOBODY: ServerAccount = { uid: 65_534, gid: 65_534, switched: true };

let root: string;
let native: string;
let copies: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'openeaap-native-')));
  await chmod(root, 0o711);
  native = join(root, 'package', 'native');
  copies = join(root, 'copies');
  await mkdir(join(native, 'bin'), { recursive: true });
  await mkdir(join(native, 'lib'));
  await mkdir(copies);
  await writeFile(join(root, 'package', 'package.json'), '{"version":"18.4.0"}');
  await writeFile(join(native, 'bin', 'postgres'), 'program', { mode: 0o755 });
  await writeFile(join(native, 'lib', 'libpq.so.5.18'), 'library');
  await writeLinks([{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]);
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe('prepareNativeFolder', () => {
  test('restores the library links that npm leaves out, also when many start at once', async () => {
    const folders = await Promise.all(Array.from({ length: 8 }, () => prepareNativeFolder(native, SELF, copies)));
    expect(new Set(folders)).toEqual(new Set([native]));
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
    expect(await readFile(join(native, 'lib', 'libpq.so.5'), 'utf8')).toBe('library');
  });

  test('leaves a link alone that is there already', async () => {
    await symlink('elsewhere', join(native, 'lib', 'libpq.so.5'));
    await prepareNativeFolder(native, SELF, copies);
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('elsewhere');
  });

  test('makes no link outside the package', async () => {
    await writeLinks([{ source: 'native/lib/libpq.so.5.18', target: '../planted' }, { source: '../../secret', target: 'native/lib/x' }, 'text', { target: 1 }]);
    await prepareNativeFolder(native, SELF, copies);
    await expect(lstat(join(root, 'planted'))).rejects.toThrow('ENOENT');
    await expect(lstat(join(native, 'lib', 'x'))).rejects.toThrow('ENOENT');
  });

  test('copies the programs once to where the server may run them, when it may not enter node_modules', async () => {
    await chmod(join(root, 'package'), 0o700);
    await chmod(join(native, 'bin', 'postgres'), 0o700);
    const folders = await Promise.all([prepareNativeFolder(native, NOBODY, copies), prepareNativeFolder(native, NOBODY, copies)]);
    const copy = join(copies, 'server-18.4.0');
    expect(folders).toEqual([copy, copy]);
    expect((await lstat(join(copy, 'bin', 'postgres'))).mode & 0o777).toBe(0o755);
    expect(await readFile(join(copy, 'lib', 'libpq.so.5'), 'utf8')).toBe('library');
    expect(await prepareNativeFolder(native, NOBODY, copies)).toBe(copy);
  });
});

async function writeLinks(links: readonly unknown[]): Promise<void> {
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(links));
}
