import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { openEmbeddedServer } from '@openeaap/store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, textAt } from './harness/json.ts';
import type { Behaviour, ModelServer } from './harness/model-server.ts';
import { after, answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { ROOT, startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

const execute = promisify(execFile);
const SERVER = path.join(ROOT, 'cmd/openeaap-server/dist/main.js');
const cleanup = createCleanup();
let model: ModelServer;
let product: ProductServer;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
});
afterAll(() => cleanup.run());

const never = after(new Promise(() => undefined), answer('never'));
/** Blocks the address that the task names, then ends. */
const blockThenAnswer: Behaviour = (response, request) => {
  if (request.messages.some(({ role }) => role === 'tool')) return answer('blocked')(response, request);
  const ip = /\d+\.\d+\.\d+\.\d+/.exec(request.messages.find(({ role }) => role === 'user')?.content ?? '')?.[0] ?? '';
  return calls('block it', { name: 'firewall_block_ip', args: { ip, reason: 'backup' } })(response, request);
};

async function newFolder(): Promise<DataFolder> {
  const folder = await createDataFolder();
  cleanup.add(folder.remove);
  return folder;
}

async function start(folder: DataFolder, env: Readonly<Record<string, string>> = {}): Promise<Platform> {
  const platform = await startPlatform({ folder, env: { ...model.env, ...product.env, ...env } });
  cleanup.add(platform.kill);
  return platform;
}

const verify = async (api: ApiClient): Promise<unknown> => (await api.post('/audit/verify')).body;

/** Clients that start runs as fast as they are accepted. */
function createLoad(api: ApiClient, name: string, clients: number) {
  const accepted: string[] = [];
  const state = { stopped: false };
  const loops = Array.from({ length: clients }, async () => {
    while (!state.stopped) {
      const id = await api.startRun('blocker', `[${name}] x`).catch(() => null);
      if (id !== null) accepted.push(id);
    }
  });
  return {
    accepted,
    stop: async (): Promise<void> => {
      state.stopped = true;
      await Promise.all(loops);
    },
  };
}

/** Two runs that wait for an approval and one that thinks, as they are when the backup is taken. */
async function begin(api: ApiClient, net: number) {
  await api.publishAgent('blocker', { tools: ['firewall_block_ip'] });
  model.script(`gated-${net}`, blockThenAnswer);
  model.script(`thinks-${net}`, never, answer('thought again'));
  const waits = await api.startRun('blocker', `[gated-${net}] 45.80.${net}.1`);
  const acts = await api.startRun('blocker', `[gated-${net}] 45.80.${net}.2`);
  const thinks = await api.startRun('blocker', `[thinks-${net}] x`);
  const approvals = { waits: await api.pendingApproval(waits), acts: await api.pendingApproval(acts) };
  await waitUntil('the model thinks', () => model.requests(`thinks-${net}`).length === 1);
  return { waits, acts, thinks, approvals };
}

describe('openeaap-server backup', () => {
  it('of a running platform under load can be started elsewhere: nothing that was accepted is missing, runs go on, the audit holds, nothing dangerous is done twice', async () => {
    const original = await newFolder();
    const before = await start(original);
    const begun = await begin(before.api, 1);
    model.script('load', answer('done'));
    const load = createLoad(before.api, 'load', 6);
    await waitUntil('the load is under way', () => load.accepted.length >= 100);
    const early = [...load.accepted];
    const to = path.join((await newFolder()).path, 'copy');
    const { stdout } = await execute(process.execPath, [SERVER, 'backup', '--data-dir', original.path, '--to', to, '--json'], { env: { PATH: process.env['PATH'] ?? '' } });
    expect(JSON.parse(stdout)).toMatchObject({ path: to, format: 1 });
    const during = load.accepted.length;
    expect(during, 'the platform went on while the backup was taken').toBeGreaterThan(early.length);
    await waitUntil('the load goes on after the backup', () => load.accepted.length > during + 20);
    await load.stop();

    // After the backup the original acts once more, and is lost then.
    await before.api.decide(begun.approvals.acts, { verdict: 'approve' });
    expect(await before.api.ended(begun.acts)).toMatchObject({ status: 'completed' });
    expect(product.effects('45.80.1.2')).toHaveLength(1);
    await before.kill();
    await original.killPostmaster();

    const restored = await newFolder();
    await execute('cp', ['-a', `${to}/.`, restored.path]);
    expect(existsSync(path.join(restored.path, 'postgres/data/backup_label'))).toBe(true);
    const { api, apiKey } = await start(restored).then((platform) => ({ api: platform.api, apiKey: platform.api.apiKey }));
    expect(apiKey, 'the key of the original').toBe(before.api.apiKey);
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
    for (const id of early) expect(await api.ended(id, 60_000)).toMatchObject({ status: 'completed' });
    expect(await api.ended(begun.thinks)).toMatchObject({ status: 'completed', output: 'thought again' });
    await api.decide(begun.approvals.waits, { verdict: 'approve' });
    expect(await api.ended(begun.waits)).toMatchObject({ status: 'completed', output: 'blocked' });
    // The copy does not know of the approval and the call after it; they happen again, with the same key towards the product.
    expect(await api.run(begun.acts)).toMatchObject({ status: 'paused', pending_approvals: [begun.approvals.acts] });
    await api.decide(begun.approvals.acts, { verdict: 'approve' });
    expect(await api.ended(begun.acts)).toMatchObject({ status: 'completed' });
    const requests = product.blockRequests('45.80.1.2');
    expect([requests.length, new Set(requests.map(({ key }) => key)).size, product.effects('45.80.1.2').length]).toEqual([2, 1, 1]);
    expect(product.effects('45.80.1.1')).toHaveLength(1);
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
  });

  it('leaves nothing behind that looks like a backup when it cannot be made', async () => {
    const folder = await newFolder();
    const to = path.join(folder.path, 'nothing');
    const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
      execute(process.execPath, [SERVER, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env } }).then(
        () => ({ code: 0, stderr: '' }),
        (error: { readonly code: number; readonly stderr: string }) => ({ code: error.code, stderr: error.stderr }),
      );
    expect(await run(['backup', '--data-dir', folder.path, '--to', to])).toMatchObject({ code: 1, stderr: expect.stringContaining('No database runs') });
    expect(await run(['backup', '--data-dir', folder.path])).toMatchObject({ code: 2, stderr: expect.stringContaining('--to DIR') });
    expect(await run(['backup', '--to', to], { DATABASE_URL: 'postgres://127.0.0.1:1/x' })).toMatchObject({ code: 1, stderr: expect.stringContaining('pg_dump') });
    expect(await run(['restore'])).toMatchObject({ code: 2, stderr: expect.stringContaining('not a command') });
    const platform = await start(folder);
    expect(await run(['backup', '--data-dir', folder.path, '--to', folder.path])).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') });
    expect(await run(['backup', '--data-dir', folder.path, '--to', path.join(folder.path, 'no', 'parent')])).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
    expect(existsSync(to) || existsSync(`${to}.partial`)).toBe(false);
    expect((await platform.api.raw('/readyz', {})).status).toBe(200);
  });
});

/** pg_dump must not be older than its server, so the server comes from the same package. */
const SYSTEM_BIN = '/usr/lib/postgresql/15/bin';

describe.skipIf(!existsSync(path.join(SYSTEM_BIN, 'pg_dump')))('a database of one’s own', () => {
  it('is restored from the state folder and then pg_dump, as docs/operations.md says', async () => {
    const server = await openEmbeddedServer({ dataDir: (await newFolder()).path, binDir: SYSTEM_BIN });
    cleanup.add(() => server.close());
    const tool = (program: string, ...args: readonly string[]) => execute(path.join(SYSTEM_BIN, program), ['-h', server.connection.host, '-p', String(server.connection.port), '-U', server.connection.user, ...args], { env: { PGPASSWORD: server.connection.password } });
    const original = await newFolder();
    const before = await start(original, { DATABASE_URL: server.url });
    const begun = await begin(before.api, 2);
    model.script('dump-load', answer('done'));
    const load = createLoad(before.api, 'dump-load', 4);
    await waitUntil('the load is under way', () => load.accepted.length >= 30);
    const early = [...load.accepted];

    const copy = await newFolder();
    await cp(original.path, copy.path, { recursive: true });
    const file = path.join(copy.path, 'openeaap.dump');
    await tool('pg_dump', '--format=custom', `--file=${file}`, server.connection.database);
    await load.stop();
    await before.kill();

    await tool('createdb', 'restored');
    await tool('pg_restore', '--exit-on-error', '--dbname=restored', file);
    const { api } = await start(copy, { DATABASE_URL: server.url.replace(`/${server.connection.database}?`, '/restored?') });
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
    for (const id of early) expect(await api.ended(id, 60_000)).toMatchObject({ status: 'completed' });
    expect(await api.ended(begun.thinks, 60_000)).toMatchObject({ output: 'thought again' });
    await api.decide(begun.approvals.waits, { verdict: 'approve' });
    expect(await api.ended(begun.waits)).toMatchObject({ status: 'completed', output: 'blocked' });
    expect(product.effects('45.80.2.1')).toHaveLength(1);
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
    expect(textAt(JSON.parse(await readFile(path.join(copy.path, 'connection.json'), 'utf8')), 'api_key')).toBe(before.api.apiKey);
    expect(at((await api.get('/diagnostics')).body, 'checks')).not.toContainEqual(expect.objectContaining({ status: 'problem' }));
  });
});
