import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import type { RunningServer } from '@openeaap/store';
import { backUpCluster, createCopier, findRunningServer } from '@openeaap/store';
import type { ServerConfig } from './config.ts';

/** Of the folder's layout, for programs that read it. */
const FORMAT = 1;

/**
 * `openeaap-server backup --to DIR`: a copy of the state folder of a running platform that can be
 * started as it is. The folder appears whole, or not at all. Not for DATABASE_URL: PostgreSQL's own
 * tools do that better (docs/operations.md).
 */
export async function runBackup(config: ServerConfig, version: string, print: (text: string) => void): Promise<number> {
  if (config.databaseUrl !== null) throw new PlatformError('unsupported', 'DATABASE_URL is set: back up that database with pg_basebackup or pg_dump, and the state folder before it. docs/operations.md says how.', { details: { field: 'DATABASE_URL' } });
  const to = config.backupTo ?? '';
  const running = await findRunningServer(config.dataDir);
  if (running === null) throw new PlatformError('conflict', `No database runs on ${config.dataDir}. The state folder of a stopped platform is its own backup: copy it with cp -a.`, { details: { path: config.dataDir } });
  await refuseExisting(to);
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  try {
    const manifest = await copyAll(config.dataDir, partial, running, version);
    await rename(partial, to);
    await flushFolder(path.dirname(to));
    print(config.json ? JSON.stringify({ path: to, ...manifest }) : `Backup of ${config.dataDir} in ${to}: ${manifest.files} files, ${Math.round(manifest.bytes / 1_048_576)} MiB, everything committed before ${manifest.finished_at}.\nIt holds all keys of the installation: keep it as safe as the original. To restore: cp -a ${to} NEW_FOLDER, and start with --data-dir NEW_FOLDER.`);
    return 0;
  } catch (thrown) {
    await rm(partial, { recursive: true, force: true });
    throw toBackupError(thrown, to);
  }
}

async function refuseExisting(to: string): Promise<void> {
  const found = await stat(to).catch(() => null);
  if (found !== null) throw new PlatformError('conflict', `${to} is there already. Name a folder that is not.`, { details: { field: '--to' } });
}

/**
 * The files beside the database come first. The heads among them are signed only after their rows
 * were committed, so a head of the copy never speaks of a row that the copy does not have.
 */
async function copyAll(dataDir: string, to: string, running: RunningServer, version: string) {
  const startedAt = new Date().toISOString();
  const { mode } = await stat(dataDir);
  await mkdir(to, { mode: mode & 0o777 });
  const beside = createCopier(running.account);
  for (const entry of await readdir(dataDir, { withFileTypes: true })) {
    const [from, target] = [path.join(dataDir, entry.name), path.join(to, entry.name)];
    if (entry.name === 'postgres' || path.resolve(from) === path.resolve(to)) continue;
    if (entry.isFile()) await beside.file(from, target);
    else if (entry.isDirectory() && !isWithin(to, from)) await beside.tree(from, target);
  }
  const home = path.join(to, 'postgres');
  await beside.emptyLike(running.home, home);
  await beside.file(path.join(running.home, 'password'), path.join(home, 'password'));
  const cluster = await backUpCluster(running, path.join(home, 'data'));
  const others = beside.total();
  const manifest = { format: FORMAT, version, started_at: startedAt, finished_at: new Date().toISOString(), start_lsn: cluster.startLsn, stop_lsn: cluster.stopLsn, files: cluster.files + others.files, bytes: cluster.bytes + others.bytes };
  await writeFile(path.join(to, 'backup.json'), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  return manifest;
}

/** A backup inside of the state folder must not copy itself, nor the ones before it for ever. */
const isWithin = (inner: string, outer: string): boolean => !path.relative(outer, inner).startsWith('..');

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function toBackupError(thrown: unknown, to: string): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  if (!/^(?:EACCES|EPERM|ENOENT|ENOSPC|EDQUOT|EROFS|EIO|ENOTDIR)$/.test(code)) return thrown;
  return new PlatformError('unavailable', `The backup could not be written to ${to} (${code}). Nothing was left there. Run it as the user of the platform, with room for a copy of the state folder.`, { details: { path: to }, cause: thrown });
}
