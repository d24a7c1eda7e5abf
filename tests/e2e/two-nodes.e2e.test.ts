import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openEmbeddedServer } from '@openeaap/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { after, answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;
let start: () => Promise<Platform>;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  const database = await createDataFolder();
  cleanup.add(database.remove);
  const server = await openEmbeddedServer({ dataDir: database.path });
  cleanup.add(() => server.close());
  // Nodes of one installation sign with one key.
  const keyFile = path.join(database.path, 'audit.pem');
  await writeFile(keyFile, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  start = async () => {
    const folder = await createDataFolder();
    cleanup.add(folder.remove);
    const env = { ...model.env, ...product.env, DATABASE_URL: server.url, OPENEAAP_AUDIT_KEY_FILE: keyFile, OPENEAAP_ADMIN_KEY: 'oea_key-of-both-nodes', OPENEAAP_MASKING_KEY: 'masking-key-of-both-nodes' };
    const platform = await startPlatform({ folder, env });
    cleanup.add(platform.kill);
    return platform;
  };
});
afterAll(() => cleanup.run());

describe('two nodes on one database', () => {
  it('share runs, events and approvals, and one takes over from the other within 10 s of its death', async () => {
    const first = await start();
    await first.api.publishAgent('blocker', { tools: ['firewall_block_ip'] });
    model.script('dies', after(new Promise(() => undefined), answer('never')), answer('taken over'));
    const runId = await first.api.startRun('blocker', '[dies] x');
    await waitUntil('the first node thinks', () => model.requests('dies').length === 1);

    const second = await start();
    expect(await second.api.run(runId), 'a second node leaves the runs of a living one alone').toMatchObject({ status: 'running' });
    expect(model.requests('dies')).toHaveLength(1);
    const watched = collect(second.api.stream(`/runs/${runId}/events`));
    const killedAt = performance.now();
    await first.kill();
    expect(await second.api.ended(runId)).toMatchObject({ status: 'completed', output: 'taken over' });
    expect(performance.now() - killedAt).toBeLessThan(12_000);
    const events = (await watched).filter(({ id }) => id !== null);
    expect(events.map(({ id }) => id)).toEqual(events.map((_event, index) => index + 1));

    const third = await start();
    model.script('crossed', calls('block', { name: 'firewall_block_ip', args: { ip: '45.67.1.1', reason: 'x' } }), answer('blocked'));
    const crossed = await third.api.startRun('blocker', '[crossed] x');
    const approvalId = await second.api.pendingApproval(crossed);
    const [one, other] = await Promise.all([second, third].map(({ api }) => api.post(`/approvals/${approvalId}/decide`, { verdict: 'approve' })));
    expect(new Set([one?.status, other?.status])).toEqual(new Set([200, 409]));
    expect(await second.api.ended(crossed)).toMatchObject({ status: 'completed', output: 'blocked' });
    expect(product.blockRequests('45.67.1.1')).toHaveLength(1);

    const replies = await Promise.all(Array.from({ length: 20 }, (_none, index) => (index % 2 === 0 ? second : third).api.post('/agents/blocker/runs', { input: '[plain] x', idempotency_key: 'both' })));
    expect(new Set(replies.map(({ body }) => textAt(body, 'run_id'))).size).toBe(1);
    for (const { api } of [second, third]) expect((await api.post('/audit/verify')).body).toMatchObject({ ok: true, problems: [] });
  });
});
