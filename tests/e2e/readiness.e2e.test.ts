import path from 'node:path';
import { openEmbeddedServer } from '@openeaap/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import type { DatabaseProxy } from './harness/database-proxy.ts';
import { startDatabaseProxy } from './harness/database-proxy.ts';
import { at } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { after, answer, startModelServer } from './harness/model-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const cleanup = createCleanup();
let proxy: DatabaseProxy;
let databaseUrl: string;
let model: ModelServer;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  const database = await createDataFolder();
  cleanup.add(database.remove);
  const server = await openEmbeddedServer({ dataDir: database.path });
  cleanup.add(() => server.close());
  const { host, port, user, password, database: name } = server.connection;
  proxy = await startDatabaseProxy(path.join(host, `.s.PGSQL.${port}`));
  cleanup.add(proxy.close);
  databaseUrl = `postgres://${user}:${password}@127.0.0.1:${proxy.port}/${name}`;
});
afterAll(() => cleanup.run());

async function start(env: Readonly<Record<string, string>> = {}): Promise<Platform> {
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  const platform = await startPlatform({ folder, env: { ...model.env, DATABASE_URL: databaseUrl, ...env } });
  cleanup.add(platform.kill);
  return platform;
}

const probe = async (platform: Platform, route: string) => platform.api.raw(route, {}).catch(() => null);
const failed = async (platform: Platform): Promise<unknown> => {
  const ready = await probe(platform, '/readyz');
  return ready === null ? 'no answer' : ready.status === 200 ? null : at(ready.body, 'failed');
};

describe('the probes', () => {
  it.each(['swallow', 'cut'] as const)('say within seconds that a database is lost (%s) and that it is back, and that the process lives all the while', async (mode) => {
    const platform = await start();
    expect(await failed(platform)).toBeNull();
    proxy.set(mode);
    const begun = performance.now();
    const reasons = await waitUntil('the node is not ready', () => failed(platform));
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(reasons).toContain('database');
    expect((await probe(platform, '/healthz'))?.status).toBe(200);
    await waitUntil('the node could not show that it lives', async () => String(await failed(platform)).includes('heartbeat'), 30_000);
    expect((await probe(platform, '/healthz'))?.status).toBe(200);
    proxy.set('pass');
    await waitUntil('the node is ready again', async () => (await failed(platform)) === null, 60_000);
    expect(await platform.stop()).toBe(0);
  });

  it('say that a node drains while it still serves, and the node then stops', async () => {
    const platform = await start({ OPENEAAP_DRAIN_DELAY_MS: '4000' });
    await platform.api.publishAgent('plain', {});
    model.script('drained', after(Promise.resolve(), answer('done')));
    const stopping = platform.stop();
    expect(await waitUntil('the node is not ready', () => failed(platform))).toEqual(['draining']);
    expect((await probe(platform, '/healthz'))?.status).toBe(200);
    const runId = await platform.api.startRun('plain', '[drained] x');
    expect((await platform.api.get(`/runs/${runId}`)).status).toBe(200);
    expect(await stopping).toBe(0);
  });
});
