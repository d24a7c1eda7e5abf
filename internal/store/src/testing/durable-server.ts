import { openEmbeddedServer, type EmbeddedServer } from '../embedded/open-embedded-server.ts';
import { readTestBinDir } from './test-binaries.ts';
import { createTestFolder } from './test-folder.ts';

export interface DurableServer {
  readonly server: EmbeddedServer;
  readonly dataDir: string;
}

/** Runs `work` with a separate, durable server in a folder of its own, for tests that stop or kill it; then cleans up. */
export async function withDurableServer<T>(work: (durable: DurableServer) => Promise<T>): Promise<T> {
  const folder = await createTestFolder();
  try {
    const server = await openEmbeddedServer({ dataDir: folder.path, binDir: readTestBinDir() });
    try {
      return await work({ server, dataDir: folder.path });
    } finally {
      await server.close();
    }
  } finally {
    await folder.remove();
  }
}
