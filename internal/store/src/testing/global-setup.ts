import { Client, Pool } from 'pg';
import type { TestProject } from 'vitest/node';
import { openEmbeddedServer, toUrl } from '../embedded/open-embedded-server.ts';
import { migrate } from '../migrate.ts';
import { migrations } from '../migrations/index.ts';
import { readTestBinDir } from './test-binaries.ts';
import { TEMPLATE_DATABASE, type TestServer } from './test-server.ts';
import { createTestFolder } from './test-folder.ts';

/**
 * One throw-away server per run of vitest, with a template database that has every migration.
 * Without fsync: nothing in it has to outlive the machine. Tests that kill servers start their own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await createTestFolder();
  try {
    const server = await openEmbeddedServer({ dataDir: folder.path, binDir: readTestBinDir(), durability: 'none', extraSettings: { max_connections: '200' } });
    const { host, port, user, password } = server.connection;
    const testServer: TestServer = { host, port, user, password };
    await createTemplate(testServer);
    project.provide('openeaapTestServer', testServer);
    return async () => {
      await server.close();
      await folder.remove();
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

async function createTemplate(server: TestServer): Promise<void> {
  const admin = new Client({ connectionString: toUrl({ ...server, database: 'postgres' }) });
  await admin.connect();
  try {
    await admin.query(`CREATE DATABASE ${TEMPLATE_DATABASE}`);
    const pool = new Pool({ connectionString: toUrl({ ...server, database: TEMPLATE_DATABASE }), max: 2 });
    try {
      await migrate(pool, migrations);
    } finally {
      await pool.end();
    }
  } finally {
    await admin.end();
  }
}
