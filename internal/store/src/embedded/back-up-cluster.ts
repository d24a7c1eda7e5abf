import { chmod, chown, copyFile, lstat, mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { BACKUP_START, BACKUP_STOP, KEEP_WAL, NAME_SEGMENTS } from './backup-statements.ts';
import type { RunningServer } from './find-running-server.ts';
import type { ServerAccount } from './server-account.ts';

export interface ClusterBackup {
  readonly startLsn: string;
  /** What was committed up to here is in the copy. */
  readonly stopLsn: string;
  readonly files: number;
  readonly bytes: number;
}

/** A long copy must not wait for ever for a server that hangs. */
const ANSWER_TIMEOUT_MS = 600_000;

/** Folders whose content belongs to a running server or is made again by a recovery; the folders themselves must be there. */
const EMPTY_FOLDERS: ReadonlySet<string> = new Set(['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans']);
const LEFT_OUT = /^(?:postmaster\.(?:pid|opts)|pg_internal\.init.*|backup_label(?:\.old)?|tablespace_map(?:\.old)?|backup_manifest|pgsql_tmp.*|.*\.auto\.conf\.tmp)$/;
const SEGMENT = /^[0-9A-F]{24}$/;

/**
 * Copies the data folder of a running server into `to`, which must not be there, by PostgreSQL's own
 * protocol for base backups (https://www.postgresql.org/docs/current/continuous-archiving.html,
 * "Making a Base Backup Using the Low Level API"): files may change while they are copied, for the
 * write-ahead log from the beginning to the end of the backup is copied too and replayed when the copy
 * is started. `backup_label` makes a server refuse the copy if that log is not complete. A temporary
 * replication slot keeps the log from being recycled meanwhile.
 */
export async function backUpCluster(server: RunningServer, to: string): Promise<ClusterBackup> {
  const from = join(server.home, 'data');
  const client = new Client({ ...server.connection, application_name: 'openeaap backup', query_timeout: ANSWER_TIMEOUT_MS });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const copy = createCopier(server.account);
    await client.query(KEEP_WAL, [`openeaap_backup_${randomBytes(6).toString('hex')}`]);
    const started = await client.query<{ lsn: string }>(BACKUP_START);
    const startLsn = started.rows[0]?.lsn ?? '';
    await copy.tree(from, to, (folder, name) => folder === '' && EMPTY_FOLDERS.has(name), LEFT_OUT);
    const stopped = await client.query<{ lsn: string; labelfile: string; spcmapfile: string }>(BACKUP_STOP);
    const end = stopped.rows[0];
    if (end === undefined) throw new PlatformError('internal', 'The database server did not say how the backup ended.');
    if (end.spcmapfile.trim() !== '') throw new PlatformError('unsupported', 'The embedded database has tablespaces of its own, which this backup does not copy. Use pg_basebackup.');
    await copy.text(join(to, 'backup_label'), end.labelfile);
    await copyWal(client, { from, to, startLsn, stopLsn: end.lsn }, copy);
    return { startLsn, stopLsn: end.lsn, ...copy.total() };
  } finally {
    // Ends the backup if it was not, and drops the slot.
    await client.end();
  }
}

async function copyWal(client: Client, range: { readonly from: string; readonly to: string; readonly startLsn: string; readonly stopLsn: string }, copy: Copier): Promise<void> {
  const { rows } = await client.query<{ first: string; last: string }>(NAME_SEGMENTS, [range.startLsn, range.stopLsn]);
  const { first, last } = rows[0] ?? { first: '', last: '' };
  const names = (await readdir(join(range.from, 'pg_wal'))).filter((name) => (SEGMENT.test(name) && name >= first && name <= last) || name.endsWith('.history'));
  if (!names.includes(first) || !names.includes(last)) throw new PlatformError('internal', `The write-ahead log from ${first} to ${last} is not complete; the backup cannot be used.`);
  for (const name of names) await copy.file(join(range.from, 'pg_wal', name), join(range.to, 'pg_wal', name));
  await copy.folder(join(range.to, 'pg_wal', 'archive_status'));
}

export interface Copier {
  /** `isEmptied` says of which folders only the folder is made; `leftOut` is for names of files and folders. */
  readonly tree: (from: string, to: string, isEmptied?: (folder: string, name: string) => boolean, leftOut?: RegExp) => Promise<void>;
  readonly file: (from: string, to: string) => Promise<void>;
  readonly text: (to: string, content: string) => Promise<void>;
  readonly folder: (to: string) => Promise<void>;
  /** A folder with the rights and the owner of another, and nothing in it. */
  readonly emptyLike: (from: string, to: string) => Promise<void>;
  readonly total: () => { readonly files: number; readonly bytes: number };
}

/** Copies with rights and owner, and flushes each file to the disk. What vanishes while it is copied was not needed. */
export function createCopier(account: ServerAccount): Copier {
  const total = { files: 0, bytes: 0 };
  const own = async (path: string, uid: number, gid: number): Promise<void> => {
    if (account.switched) await chown(path, uid, gid);
  };

  async function flush(path: string): Promise<void> {
    const handle = await open(path, 'r');
    try {
      total.bytes += (await handle.stat()).size;
      total.files += 1;
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async function file(from: string, to: string): Promise<void> {
    try {
      const { mode, uid, gid } = await lstat(from);
      await copyFile(from, to);
      await chmod(to, mode & 0o777);
      await own(to, uid, gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && (await isGone(from))) return;
      throw error;
    }
    await flush(to);
  }

  async function tree(from: string, to: string, isEmptied: (folder: string, name: string) => boolean = () => false, leftOut: RegExp = /^$/, within = ''): Promise<void> {
    await emptyLike(from, to);
    for (const entry of await readdir(from, { withFileTypes: true })) {
      if (leftOut.test(entry.name)) continue;
      const [source, target] = [join(from, entry.name), join(to, entry.name)];
      if (entry.isDirectory()) await (isEmptied(within, entry.name) ? emptyLike(source, target) : tree(source, target, isEmptied, leftOut, join(within, entry.name)));
      else if (entry.isFile()) await file(source, target);
    }
  }

  async function emptyLike(from: string, to: string): Promise<void> {
    const { mode, uid, gid } = await lstat(from);
    await mkdir(to, { mode: mode & 0o777 });
    await chmod(to, mode & 0o777);
    await own(to, uid, gid);
  }

  return {
    tree: (from, to, isEmptied, leftOut) => tree(from, to, isEmptied, leftOut),
    file,
    text: async (to, content) => {
      await writeFile(to, content, { mode: 0o600, flag: 'wx' });
      await own(to, account.uid, account.gid);
      await flush(to);
    },
    folder: async (to) => {
      await mkdir(to, { mode: 0o700 });
      await own(to, account.uid, account.gid);
    },
    emptyLike,
    total: () => total,
  };
}

async function isGone(path: string): Promise<boolean> {
  return lstat(path).then(() => false, () => true);
}
