import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { SERVER_PORT } from './server-settings.ts';
import { findImpassableFolder, giveToServer, type ServerAccount } from './server-account.ts';

/** sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included. */
const SOCKET_PATH_LIMIT_BYTES = 103;

/**
 * Makes sure of the private folder (0700) that holds the server's socket. It lies in the folder for
 * temporary files and not in the state folder, whose path may be too long for a socket. Its name
 * follows from the data folder; a folder that somebody else has planted under that name is refused.
 */
export async function makeSocketFolder(dataFolder: string, account: ServerAccount): Promise<string> {
  const folder = await chooseSocketFolder(dataFolder, account);
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(folder);
  const isOurs = found.uid === account.uid || (account.switched && found.uid === 0);
  if (!found.isDirectory() || !isOurs || (found.mode & 0o077) !== 0) {
    throw new PlatformError(
      'permission_denied',
      `The folder for the database socket, "${folder}", is not a private folder of uid ${account.uid} (it belongs to uid ${found.uid}, mode ${(found.mode & 0o777).toString(8)}). Remove it, or point TMPDIR to a folder of your own.`,
      { details: { path: folder } },
    );
  }
  if (found.uid !== account.uid) await giveToServer(folder, account);
  return folder;
}

async function chooseSocketFolder(dataFolder: string, account: ServerAccount): Promise<string> {
  const name = `openeaap-${createHash('sha256').update(dataFolder).digest('hex').slice(0, 16)}`;
  for (const parent of [tmpdir(), '/tmp']) {
    const real = await realpath(parent).catch(() => undefined);
    if (real === undefined) continue;
    const folder = join(real, name);
    if (Buffer.byteLength(socketPath(folder)) > SOCKET_PATH_LIMIT_BYTES) continue;
    if ((await findImpassableFolder(real, account)) === undefined) return folder;
  }
  throw new PlatformError('unsupported', `There is no folder for temporary files with a path short enough for a socket that uid ${account.uid} can reach. Point TMPDIR to one.`);
}

export function socketPath(socketFolder: string): string {
  return join(socketFolder, `.s.PGSQL.${SERVER_PORT}`);
}
