import { openEmbeddedServer } from '@openeaap/store';
import type { EmbeddedServer } from '@openeaap/store';
import { createDataFolder } from '../e2e/harness/data-folder.ts';

/** fast: open transactions roll back, a checkpoint is written. immediate: as after a power cut, with a recovery at the next start. */
export type StopMode = 'fast' | 'immediate';

export interface Outage {
  readonly mode: StopMode;
  /** Date.now() */
  readonly from: number;
  readonly to: number;
}

/** A durable PostgreSQL of its own that can be taken away and comes back at the same address. */
export interface DurablePostgres {
  readonly url: string;
  readonly version: string;
  /** Resolves when it answers again. */
  readonly restart: (mode: StopMode, downMs: number) => Promise<Outage>;
  readonly close: () => Promise<void>;
}

export async function startDurablePostgres(binDir: string | undefined): Promise<DurablePostgres> {
  const folder = await createDataFolder();
  // The socket's folder follows from the data folder, so the address stays the same.
  const open = (): Promise<EmbeddedServer> => openEmbeddedServer({ dataDir: folder.path, binDir, extraSettings: { max_connections: '120' } });
  try {
    let server = await open();
    let restarting: Promise<unknown> = Promise.resolve();
    const restart = async (mode: StopMode, downMs: number): Promise<Outage> => {
      const from = Date.now();
      if (mode === 'immediate') {
        process.kill(server.pid, 'SIGQUIT');
        await server.died;
      }
      await server.close();
      await new Promise((resolve) => setTimeout(resolve, downMs));
      server = await open();
      return { mode, from, to: Date.now() };
    };
    return {
      url: server.url,
      version: server.version,
      restart: (mode, downMs) => {
        const outage = restart(mode, downMs);
        restarting = outage.catch(() => undefined);
        return outage;
      },
      close: async () => {
        // A server that comes back behind us would be nobody's.
        await restarting;
        try {
          await server.close();
        } finally {
          await folder.remove();
        }
      },
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}
