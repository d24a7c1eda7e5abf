import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PlatformError } from '@openeaap/kernel';

/** Whose rights the server has. PostgreSQL refuses to run as root. */
export interface ServerAccount {
  readonly uid: number;
  readonly gid: number;
  /** The server runs under another uid than this process, which is root. */
  readonly switched: boolean;
}

/** The kernel's overflow uid, "nobody", which practically every /etc/passwd has: no user has to be made. */
const UNPRIVILEGED_ID = 65_534;

/**
 * Chooses the account. Root takes that of the owner of an existing data folder, so that one
 * `sudo` start neither locks out the ordinary user nor fails; otherwise 65534.
 */
export async function chooseServerAccount(dataFolder: string): Promise<ServerAccount> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  if (uid !== 0) return { uid, gid, switched: false };
  const owner = await stat(dataFolder).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, switched: true };
  return { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID, switched: true };
}

/**
 * Makes a folder of ours (parents too) which the server's account can pass through: as root with
 * 0711, pass but not list, otherwise private. Leaves the rights of parents that exist alone.
 */
export async function makePassableFolder(folder: string, account: ServerAccount): Promise<void> {
  const mode = account.switched ? 0o711 : 0o700;
  const firstMade = (await mkdir(folder, { recursive: true, mode })) ?? folder;
  if (!account.switched) return;
  // Again, since the umask may have taken bits away.
  for (let made = folder; made.length >= firstMade.length; made = dirname(made)) await chmod(made, mode);
}

/** Gives a file or folder to the server's account. Does nothing when the server runs as we do. */
export async function giveToServer(path: string, account: ServerAccount): Promise<void> {
  if (!account.switched) return;
  try {
    await chown(path, account.uid, account.gid);
  } catch (cause) {
    throw new PlatformError(
      'unsupported',
      `This process is root, but may not give "${path}" to uid ${account.uid}, under which PostgreSQL has to run (a container without CAP_CHOWN, or a user namespace without that uid). Run it as an ordinary user, or set DATABASE_URL to a PostgreSQL server of your own.`,
      { details: { path, uid: account.uid }, cause },
    );
  }
}

/**
 * The first folder on the way to `path` (itself included) that the account cannot pass through, if any.
 * Reads the permission bits; rights given by an ACL alone are not seen.
 */
export async function findImpassableFolder(path: string, account: ServerAccount): Promise<string | undefined> {
  if (!account.switched) return undefined;
  const folders: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (dirname(folder) === folder) break;
  }
  for (const folder of folders) {
    const { mode, uid, gid } = await stat(folder);
    const executeBit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & executeBit) === 0) return folder;
  }
  return undefined;
}
