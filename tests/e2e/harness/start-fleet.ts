import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openEmbeddedServer } from '@openeaap/store';
import type { Cleanup } from './cleanup.ts';
import { createDataFolder } from './data-folder.ts';
import type { ModelServer } from './model-server.ts';
import { startModelServer } from './model-server.ts';
import type { ProductServer } from './product-server.ts';
import { startProductServer } from './product-server.ts';
import type { Platform } from './start-platform.ts';
import { startPlatform } from './start-platform.ts';

/** Many nodes of one installation: one database, one model, one set of products, one set of keys. */
export interface Fleet {
  readonly model: ModelServer;
  readonly product: ProductServer;
  readonly databaseUrl: string;
  /** One more node, with a state folder of its own. */
  readonly start: (args?: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Platform>;
}

export async function startFleet(cleanup: Cleanup): Promise<Fleet> {
  const model = await startModelServer();
  cleanup.add(model.close);
  const product = await startProductServer();
  cleanup.add(product.close);
  const database = await createDataFolder();
  cleanup.add(database.remove);
  const server = await openEmbeddedServer({ dataDir: database.path });
  cleanup.add(() => server.close());
  // Nodes of one installation sign with one key.
  const keyFile = path.join(database.path, 'audit.pem');
  await writeFile(keyFile, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const shared = { ...model.env, ...product.env, DATABASE_URL: server.url, OPENEAAP_AUDIT_KEY_FILE: keyFile, OPENEAAP_ADMIN_KEY: 'oea_key-of-both-nodes', OPENEAAP_MASKING_KEY: 'masking-key-of-both-nodes' };
  return {
    model,
    product,
    databaseUrl: server.url,
    start: async (args = [], env = {}) => {
      const folder = await createDataFolder();
      cleanup.add(folder.remove);
      const platform = await startPlatform({ folder, args, env: { ...shared, ...env } });
      cleanup.add(platform.kill);
      return platform;
    },
  };
}
