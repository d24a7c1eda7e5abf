import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { PlatformError } from '@openeaap/kernel';

/** "oeap" and 1: the key of the advisory lock that the owner of a data folder holds in the database `postgres`. */
const OWNER_LOCK = [0x6f656170, 1] as const;

/** A killed owner's lock goes when its backend reads the end of the connection: at once, or a little later on a busy machine. */
const LOCK_PATIENCE_MS = 700;
const LOCK_POLL_MS = 50;

/** So that whoever meets the lock can say who holds it. */
export function toOwnerName(pid: number): string {
  return `openeaap owner pid=${pid}`;
}

/**
 * Takes the lock that makes this process the owner of the folder, for as long as `client` is
 * connected: the server lets go of it when the process dies, however it dies.
 * Throws `conflict`, which names the owner, when another process has it.
 */
export async function takeOwnership(client: Client, dataDir: string): Promise<void> {
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS taken', [...OWNER_LOCK]);
    if (rows[0]?.taken === true) return;
    if (Date.now() > deadline) throw ownedByAnother(dataDir, await readOwnerPid(client));
    await delay(LOCK_POLL_MS);
  }
}

async function readOwnerPid(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ application_name: string }>(
    `SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = $1 AND l.objid::bigint = $2 AND l.objsubid = 2`,
    [...OWNER_LOCK],
  );
  const pid = /pid=(\d+)$/.exec(rows[0]?.application_name ?? '')?.[1];
  return pid === undefined ? undefined : Number(pid);
}

function ownedByAnother(dataDir: string, pid: number | undefined): PlatformError {
  const owner = pid === undefined ? 'another process' : `the process with pid ${pid}`;
  return new PlatformError('conflict', `The state folder "${dataDir}" is in use by ${owner}. Stop that process, or choose another state folder for this one. To run several nodes on one store, set DATABASE_URL.`, {
    details: { path: dataDir, pid: pid ?? null },
  });
}
