import { execFile } from 'node:child_process';
import { appendFile, chmod, cp, lstat, mkdir, readFile, readdir, rm, stat, truncate, writeFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client, type ClientConfig } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTestBinDir } from '../testing/test-binaries.ts';
import { createTestFolder, type TestFolder } from '../testing/test-folder.ts';
import { locateBinaries } from './locate-binaries.ts';
import { prepareNativeFolder } from './native-folder.ts';
import { openEmbeddedServer, type EmbeddedServer } from './open-embedded-server.ts';
import { boundServerLog } from './server-log.ts';

const isRoot = process.getuid?.() === 0;
const binDir = readTestBinDir();

let folder: TestFolder;
const opened: EmbeddedServer[] = [];

beforeEach(async () => {
  folder = await createTestFolder();
});

afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
  await folder.remove();
});

async function open(dataDir = folder.path): Promise<EmbeddedServer> {
  const server = await openEmbeddedServer({ dataDir, binDir });
  opened.push(server);
  return server;
}

async function query(config: string | ClientConfig, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client(config);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('openEmbeddedServer', () => {
  test('starts, stops cleanly and starts again with the data', async () => {
    const first = await open();
    expect(first.adopted).toBe(false);
    await query(first.url, `CREATE TABLE t AS SELECT '持久'::text AS word`);
    await first.close();
    await first.close();
    await expect(lstat(join(folder.path, 'postgres', 'data', 'postmaster.pid'))).rejects.toThrow('ENOENT');
    await expect(lstat(first.connection.host)).rejects.toThrow('ENOENT');

    const second = await open();
    expect(second.adopted).toBe(false);
    expect(await query(second.url, 'SELECT word FROM t')).toEqual([{ word: '持久' }]);
    expect(await query({ ...second.connection }, 'SELECT word FROM t')).toEqual([{ word: '持久' }]);
    expect(second.version).toMatch(/^\d+\.\d+$/);
    expect(await readFile(join(folder.path, 'postgres', 'server.log'), 'utf8')).not.toContain('automatic recovery');
  });

  test('is durable, in UTF-8, sorts by code point and listens on its socket only', async () => {
    const server = await open();
    const [row] = await query(
      server.url,
      `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, current_setting('full_page_writes') AS pages,
              current_setting('listen_addresses') AS tcp, current_setting('server_encoding') AS encoding, current_setting('autovacuum') AS autovacuum,
              current_setting('TimeZone') AS zone, 'B' < 'a' AS by_code_point`,
    );
    expect(row).toEqual({ fsync: 'on', commit: 'on', pages: 'on', tcp: '', encoding: 'UTF8', autovacuum: 'on', zone: 'UTC', by_code_point: true });
  });

  test('lets in nobody without the password, and nobody else to its files', async () => {
    const server = await open();
    await expect(query({ ...server.connection, password: 'wrong' }, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    const home = join(folder.path, 'postgres');
    expect(await readFile(join(home, 'data', 'pg_hba.conf'), 'utf8')).not.toMatch(/^(local|host).*(trust|peer|md5)$/m);
    const modes = await Promise.all([join(home, 'password'), join(home, 'server.log'), join(home, 'data'), server.connection.host].map(async (path) => (await stat(path)).mode & 0o777));
    expect(modes).toEqual([0o600, 0o600, 0o700, 0o700]);
    expect((await readFile(join(home, 'password'), 'utf8')).length).toBeGreaterThanOrEqual(32);
    expect((await readdir(home)).sort()).toEqual(['data', 'password', 'server.log']);
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'args=', '-p', String(server.pid)]);
    expect(stdout).not.toContain(server.connection.password);
  });

  test('works in a folder whose path is far too long for a socket', async () => {
    const dataDir = join(folder.path, ...Array.from({ length: 4 }, (_, level) => `${'long-'.repeat(20)}${level}`), 'with space & ünïcode');
    const server = await open(dataDir);
    expect(Buffer.byteLength(server.connection.host)).toBeLessThan(80);
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.close();
  });

  test('refuses data of another major version, and says which and what to do', async () => {
    await (await open()).close();
    await writeFile(join(folder.path, 'postgres', 'data', 'PG_VERSION'), '13\n');
    await expect(open()).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/PostgreSQL 13.*pg_dump/s) });
  });

  test('says so when the folder holds something else', async () => {
    await mkdir(join(folder.path, 'postgres', 'data'), { recursive: true });
    if (isRoot) await chmod(join(folder.path, 'postgres'), 0o711);
    await writeFile(join(folder.path, 'postgres', 'data', 'diary.txt'), 'mine');
    await expect(open()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('Move it away') });
    expect(await readdir(join(folder.path, 'postgres', 'data'))).toEqual(['diary.txt']);
  });

  test('ends a failed start with the last lines of the log', async () => {
    const failing = openEmbeddedServer({ dataDir: folder.path, binDir, extraSettings: { shared_buffers: 'lots' } });
    await expect(failing).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('shared_buffers') });
    expect((await open()).adopted).toBe(false);
  });

  test('leaves nothing half-made when initdb fails', async () => {
    const bin = join(folder.path, 'bin');
    await mkdir(bin, { mode: 0o755 });
    const real = await locateBinaries({ binDir, platform: process.platform, arch: process.arch }, { uid: 0, gid: 0, switched: false }, folder.path);
    await writeFile(join(bin, 'postgres'), `#!/bin/sh\nexec "${join(real, 'postgres')}" "$@"\n`, { mode: 0o755 });
    await writeFile(join(bin, 'initdb'), '#!/bin/sh\nmkdir "$2/base"; echo "could not write: No space left on device" >&2; exit 1\n', { mode: 0o755 });
    await expect(openEmbeddedServer({ dataDir: folder.path, binDir: bin })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('No space left on device') });
    expect(await readdir(join(folder.path, 'postgres'))).toEqual(['password']);
    expect((await open()).adopted).toBe(false);
  });

  test('starts although the lock files name a pid that another program has now', async () => {
    const first = await open();
    const socketFolder = first.connection.host;
    const pidFile = join(folder.path, 'postgres', 'data', 'postmaster.pid');
    const [lock, socketLock] = [await readFile(pidFile, 'utf8'), await readFile(join(socketFolder, '.s.PGSQL.5432.lock'), 'utf8')];
    await first.close();
    await mkdir(socketFolder, { mode: 0o700 });
    await writeFile(pidFile, lock.replace(/^\d+/, String(process.pid)));
    await writeFile(join(socketFolder, '.s.PGSQL.5432.lock'), socketLock.replace(/^\d+/, String(process.pid)));
    expect((await open()).adopted).toBe(false);
  });

  test('refuses a socket folder that is open to others', async () => {
    const first = await open();
    await first.close();
    await mkdir(first.connection.host);
    await chmod(first.connection.host, 0o777);
    await expect(open()).rejects.toMatchObject({ code: 'permission_denied', details: { path: first.connection.host } });
    await rm(first.connection.host, { recursive: true });
  });

  test('keeps its log within bounds while the server writes to it', async () => {
    const server = await open();
    const log = join(folder.path, 'postgres', 'server.log');
    await appendFile(log, 'x'.repeat(9 * 1024 * 1024));
    await boundServerLog(log);
    await query(server.url, 'DO $$ BEGIN RAISE WARNING $w$after the cut$w$; END $$');
    expect(await readFile(log, 'utf8')).toContain('after the cut');
    expect((await stat(log)).size).toBeLessThan(10_000);
    expect((await stat(`${log}.1`)).size).toBeGreaterThan(8 * 1024 * 1024);
    await truncate(`${log}.1`);
  });
});

describe.runIf(isRoot)('openEmbeddedServer as root', () => {
  test('runs the server without its rights', async () => {
    const server = await open();
    expect((await stat(`/proc/${server.pid}`)).uid).toBe(65_534);
  });

  test('keeps the database elsewhere when the server may not enter the state folder, as in a clone in /root', async () => {
    const closed = join(folder.path, 'closed');
    const dataDir = join(closed, 'state');
    await mkdir(closed, { mode: 0o700 });
    const rootHome = join(folder.path, 'home');
    const server = await openEmbeddedServer({ dataDir, rootHome });
    opened.push(server);
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(dirname(await realpath(join(dataDir, 'postgres')))).toBe(await realpath(rootHome));
    await opened.pop()?.close();
    const again = await openEmbeddedServer({ dataDir, rootHome });
    opened.push(again);
    expect(again.adopted).toBe(false);
  });

  test('names the folder that the server may not enter, and the cure, when there is no place for it at all', async () => {
    const closed = join(folder.path, 'closed');
    const dataDir = join(closed, 'state');
    await mkdir(closed, { mode: 0o700 });
    const refused = openEmbeddedServer({ dataDir, rootHome: join(closed, 'home') });
    await expect(refused).rejects.toMatchObject({ code: 'permission_denied', message: expect.stringContaining(`chmod o+x ${closed}`), details: { path: closed } });
    await expect(lstat(join(dataDir, 'postgres', 'data'))).rejects.toThrow('ENOENT');
  });

  test('runs programs from a node_modules that is closed to the server and lacks its links', async () => {
    const account = { uid: 65_534, gid: 65_534, switched: true };
    const real = await locateBinaries({ binDir: undefined, platform: process.platform, arch: process.arch }, account, folder.path);
    const copy = join(folder.path, 'closed', 'native');
    await mkdir(dirname(copy), { mode: 0o700 });
    await cp(dirname(real), copy, { recursive: true, verbatimSymlinks: true, filter: async (path) => !(await lstat(path)).isSymbolicLink() });
    await cp(join(dirname(dirname(real)), 'package.json'), join(folder.path, 'closed', 'package.json'));
    const prepared = await prepareNativeFolder(copy, account, folder.path);
    expect(dirname(prepared)).toBe(folder.path);
    const server = await openEmbeddedServer({ dataDir: folder.path, binDir: join(prepared, 'bin') });
    opened.push(server);
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
