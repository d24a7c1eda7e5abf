import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { PlatformError } from '@openeaap/kernel';
import { inspectProcess } from './process-state.ts';
import { takeOwnership } from './server-ownership.ts';
import type { Postmaster } from './start-postmaster.ts';

/** A crash of one backend makes the server drop every connection and recover: usually well under a second. */
const RECOVERY_PATIENCE_MS = 15_000;
const RECOVERY_POLL_MS = 50;

export interface Watched {
  readonly dataDir: string;
  readonly dataFolder: string;
  readonly pid: number;
  readonly postmaster: Postmaster | undefined;
  readonly client: Client;
  readonly reconnect: () => Promise<Client | undefined>;
  readonly log: (line: string) => void;
}

export interface Supervision {
  /** Resolves when the server, or the ownership of it, is lost for good. Never after `release()`. */
  readonly died: Promise<PlatformError>;
  /** From now on the end of the connection is expected. */
  release(): void;
  /** Closes the connection and with it gives up the lock. */
  disconnect(): Promise<void>;
}

/**
 * Watches the connection that holds the lock. If the server restarts its backends the lock is taken
 * again, unless another process was faster; if the server is gone, `died` says so.
 */
export function superviseOwnership(watched: Watched): Supervision {
  let client = watched.client;
  let released = false;
  let declareDead: (reason: PlatformError) => void;
  const died = new Promise<PlatformError>((resolve) => {
    declareDead = (reason) => {
      if (!released) resolve(reason);
    };
  });
  const watch = (): void => {
    client.once('end', () => {
      if (released) return;
      regain().catch((error: unknown) => declareDead(toDeath(error, watched)));
    });
  };
  const regain = async (): Promise<void> => {
    const regained = await regainOwnership(watched, () => released);
    if (regained === undefined) return;
    client = regained;
    if (released) await disconnect();
    else watch();
  };
  const disconnect = (): Promise<void> => client.end().catch(() => undefined);
  watch();
  void watched.postmaster?.exited.then((reason) => declareDead(serverGone(watched, reason)));
  return {
    died,
    release: () => {
      released = true;
    },
    disconnect,
  };
}

async function regainOwnership(watched: Watched, isReleased: () => boolean): Promise<Client | undefined> {
  const deadline = Date.now() + RECOVERY_PATIENCE_MS;
  while (!isReleased()) {
    if ((await inspectProcess(watched.pid, watched.dataFolder)) !== 'postmaster') throw serverGone(watched, watched.postmaster?.exitReason());
    const client = await watched.reconnect();
    if (client !== undefined) {
      await takeOwnership(client, watched.dataDir).catch(async (error: unknown) => {
        await client.end().catch(() => undefined);
        throw error;
      });
      watched.log('The database server dropped its connections and recovered; this process owns it again.');
      return client;
    }
    if (Date.now() > deadline) throw serverGone(watched, 'it no longer answers');
    await delay(RECOVERY_POLL_MS);
  }
  return undefined;
}

function serverGone(watched: Watched, reason: string | undefined): PlatformError {
  return new PlatformError('unavailable', `The embedded database server (pid ${watched.pid}) is gone${reason === undefined ? '' : `: ${reason}`}. Start the program again; committed data is safe.`, {
    details: { path: watched.dataDir, pid: watched.pid },
  });
}

function toDeath(error: unknown, watched: Watched): PlatformError {
  return error instanceof PlatformError ? error : new PlatformError('unavailable', `The ownership of the embedded database in "${watched.dataDir}" was lost.`, { cause: error });
}
