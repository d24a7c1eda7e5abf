import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient } from './harness/api-client.ts';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, listAt, textAt } from './harness/json.ts';
import type { ModelServer } from './harness/model-server.ts';
import { answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { runCli, startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

/** A gate whose time is up while the server is down. */
const POLICY = `pii_masking:
  enabled: true
  rules: []
rbac:
  roles:
    - name: "analyst"
      members: ["group:security-ops"]
      tools: ["*"]
      agents: ["*"]
approval_gates:
  - tool_pattern: "firewall_block_ip"
    condition: "always"
    approvers: ["group:security-ops"]
    timeout: "6s"
`;

const cleanup = createCleanup();
const perTest = createCleanup();
let model: ModelServer;
let product: ProductServer;
let policyDir: string;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  policyDir = await mkdtemp(path.join(tmpdir(), 'openeaap-policy-'));
  cleanup.add(() => rm(policyDir, { recursive: true }));
  await writeFile(path.join(policyDir, 'timers.yaml'), POLICY);
});
afterAll(() => cleanup.run());
afterEach(() => perTest.run());

interface Home {
  readonly folder: DataFolder;
  readonly start: () => Promise<Platform>;
}

async function createHome(): Promise<Home> {
  const folder = await createDataFolder();
  perTest.add(folder.remove);
  return {
    folder,
    start: async () => {
      const platform = await startPlatform({ folder, args: ['--policy-dir', policyDir], env: { ...model.env, ...product.env } });
      perTest.add(platform.kill);
      return platform;
    },
  };
}

/** A time of each hour that is about half an hour away from now, so that no fire comes while the test is at it. */
const farCron = (): string => `${(new Date().getUTCMinutes() + 30) % 60} * * * *`;

async function createSchedule(api: ApiClient, name: string, over: object = {}): Promise<unknown> {
  const { status, body } = await api.post('/schedules', { name, cron: farCron(), time_zone: 'Asia/Shanghai', agent: 'worker', input: `[${name}] go`, ...over });
  if (status !== 201) throw new Error(`HTTP ${status}: ${JSON.stringify(body)}`);
  return body;
}

const runsOf = async (api: ApiClient, name: string): Promise<readonly unknown[]> => listAt((await api.get(`/runs?source=schedule:${name}`)).body, 'items');
const show = async (api: ApiClient, name: string): Promise<unknown> => (await api.get(`/schedules/${name}`)).body;

describe('time goes on while the server is down', () => {
  it.each([
    ['a stop', async (platform: Platform) => void (await platform.stop())],
    ['kill -9', (platform: Platform) => platform.kill()],
  ])('%s: schedules, delays and approval timers all come once after the restart', async (what, end) => {
    const tag = what === 'a stop' ? 'stop' : 'kill';
    const home = await createHome();
    const before = await home.start();
    await before.api.publishAgent('worker', { tools: ['firewall_block_ip'] });
    const names = { none: `none-${tag}`, last: `last-${tag}`, all: `all-${tag}` };
    for (const [catchUp, name] of Object.entries(names)) await createSchedule(before.api, name, { catch_up: catchUp });

    model.script(`gate-${tag}`, calls('block it', { name: 'firewall_block_ip', args: { ip: `45.80.${tag === 'stop' ? 1 : 2}.1`, reason: 'x' } }), answer('nobody decided'));
    const gated = await before.api.startRun('worker', `[gate-${tag}] x`);
    const approvalId = await before.api.pendingApproval(gated);
    const soon = new Date(Date.now() + 3_000).toISOString();
    const delayed = textAt((await before.api.post('/agents/worker/runs', { input: `[delayed-${tag}] x`, start_at: soon })).body, 'run_id');
    const later = await before.api.post('/agents/worker/runs', { input: `[later-${tag}] x`, delay_s: 3_600 });
    const laterId = textAt(later.body, 'run_id');
    // Four fires of each have come and nobody was there.
    await home.folder.query(`UPDATE schedules SET next_at = next_at - interval '4 hours'`);
    await end(before);
    await waitUntil('the time of the delayed run has come', () => Date.now() > Date.parse(soon));

    const { api, stop } = await home.start();
    for (const name of Object.values(names)) await waitUntil(`${name} has moved on`, async () => Date.parse(textAt(await show(api, name), 'next_at')) > Date.now());
    const counts = async (): Promise<readonly number[]> => Promise.all(Object.values(names).map(async (name) => (await runsOf(api, name)).length));
    expect(await counts()).toEqual([0, 1, 4]);
    for (const name of [names.last, names.all]) for (const run of await runsOf(api, name)) expect(await api.ended(textAt(run, 'run_id'))).toMatchObject({ status: 'completed', user_id: 'admin' });
    expect(model.requests(names.all)).toHaveLength(4);

    expect(await api.ended(delayed)).toMatchObject({ status: 'completed', start_at: soon });
    expect(Date.parse(textAt(await api.run(delayed), 'started_at'))).toBeGreaterThanOrEqual(Date.parse(soon));
    expect(model.requests(`delayed-${tag}`)).toHaveLength(1);

    expect(await api.ended(gated)).toMatchObject({ status: 'completed', output: 'nobody decided' });
    expect((await api.get(`/approvals/${approvalId}`)).body).toMatchObject({ status: 'expired' });
    expect(model.requests(`gate-${tag}`), 'the model was told once').toHaveLength(2);
    expect(product.blockRequests(`45.80.${tag === 'stop' ? 1 : 2}.1`)).toEqual([]);

    expect(await api.run(laterId)).toMatchObject({ status: 'pending', start_at: at(later.body, 'start_at'), started_at: null });
    expect((await api.post(`/runs/${laterId}/cancel`)).status).toBe(202);
    expect(await api.ended(laterId)).toMatchObject({ status: 'cancelled', step_count: 0 });
    expect(model.requests(`later-${tag}`)).toEqual([]);
    expect((await api.post('/audit/verify')).body).toMatchObject({ ok: true, problems: [] });

    await stop();
    const again = await home.start();
    expect(await Promise.all(Object.values(names).map(async (name) => (await runsOf(again.api, name)).length)), 'a second restart makes nothing again').toEqual([0, 1, 4]);
  });
});

describe('a platform that runs', () => {
  it('fires by the clock, shows what it does, pauses, resumes, and records each change and fire', async () => {
    const home = await createHome();
    const { api, grant } = await home.start();
    await api.publishAgent('worker', { tools: [] });
    const cli = (...args: readonly string[]) => runCli(args, { OPENEAAP_DATA_DIR: home.folder.path });

    const created = await cli('schedule', 'create', 'often', '--cron', '*/2 * * * * *', '--time-zone', 'Asia/Shanghai', '--agent', 'worker@1.0.0', '--input', '[often] go', '--priority', 'high', '--overlap', 'skip');
    expect(created).toMatchObject({ code: 0, stderr: '' });
    expect(created.stdout).toMatch(/time zone {3}Asia\/Shanghai\nnext fires {2}\w{3} \d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? \+08:00\n/);
    await waitUntil('three fires have run', async () => (await runsOf(api, 'often')).filter((run) => at(run, 'status') === 'completed').length >= 3);
    const keys = await home.folder.query(`SELECT idempotency_key FROM runs WHERE source = 'schedule:often'`);
    expect(new Set(keys.map((row) => row['idempotency_key'])).size).toBe(keys.length);
    expect((await cli('schedule', 'pause', 'often')).stdout).toContain('is paused');
    expect(await show(api, 'often')).toMatchObject({ paused: true, next_at: null, next_fires: [], agent: 'worker@1.0.0', last_outcome: expect.any(String), failures_in_a_row: 0 });
    expect((await cli('schedule', 'list')).stdout).toMatch(/^often +\*\/2 \* \* \* \* \* +Asia\/Shanghai +worker@1\.0\.0 +admin +paused/m);
    const byHand = await cli('schedule', 'run', 'often', '--watch');
    expect([byHand.code, byHand.stdout]).toEqual([0, expect.stringContaining('run_completed')]);
    // A fire that was under way at the pause may have added one more than were seen before it.
    const runs = (await runsOf(api, 'often')).length;
    expect((await cli('schedule', 'update', 'often', '--cron', '@yearly')).code).toBe(0);
    expect((await cli('schedule', 'resume', 'often')).stdout).toContain('goes on');
    expect((await cli('schedule', 'delete', 'often')).code).toBe(0);
    expect((await cli('schedule', 'show', 'often')).code).toBe(3);

    const rows = await home.folder.query(`SELECT action_type, outcome FROM audit_logs WHERE action_type LIKE 'schedule%' ORDER BY created_at, chain_seq`);
    const changes = rows.filter((row) => row['action_type'] === 'schedule_change').map((row) => row['outcome']);
    expect(changes).toEqual(['created', 'paused', 'changed', 'resumed', 'deleted']);
    const started = rows.filter((row) => row['action_type'] === 'schedule_fire' && row['outcome'] === 'started');
    expect(started).toHaveLength(runs);
    const metrics = String((await api.raw('/metrics', { headers: { authorization: `Bearer ${api.apiKey}` } })).body);
    expect(Number(/openeaap_schedule_fires_total\{outcome="started"\} (\d+)/.exec(metrics)?.[1])).toBe(runs - 1);
    expect((await api.post('/audit/verify')).body).toMatchObject({ ok: true });

    const alice = await grant('alice', ['schedules:read', 'schedules:write']);
    await createSchedule(api, 'of-admin');
    const own = await alice.post('/schedules', { name: 'of-alice', cron: '@daily', agent: 'worker', input: 'x' });
    expect([own.status, at(own.body, 'user_id'), at(own.body, 'time_zone')]).toEqual([201, 'alice', 'UTC']);
    expect(listAt((await alice.get('/schedules')).body, 'items').map((one) => at(one, 'name'))).toEqual(['of-alice']);
    expect(listAt((await api.get('/schedules?limit=1')).body, 'items').map((one) => at(one, 'name'))).toEqual(['of-alice']);
    for (const reply of [await alice.get('/schedules/of-admin'), await alice.post('/schedules/of-admin/run'), await alice.post('/schedules/of-admin/pause')]) expect(reply.status).toBe(404);
    expect((await alice.raw('/api/v1/schedules/of-admin', { method: 'DELETE', headers: { authorization: `Bearer ${alice.apiKey}` } })).status).toBe(404);
  });

  it('refuses what cannot work, with the field and the cure', async () => {
    const home = await createHome();
    const { api } = await home.start();
    await api.publishAgent('worker', { tools: [] });
    const whole = { name: 'n', cron: '@daily', agent: 'worker', input: 'x' };
    const refused = async (over: object): Promise<unknown> => (await api.post('/schedules', { ...whole, ...over })).body;
    expect(await refused({ cron: '0 25 * * *' })).toMatchObject({ status: 400, field: 'cron', detail: expect.stringContaining('the hour "25" is wrong'), cure: expect.stringContaining('0 9 * * 1-5') });
    expect(await refused({ time_zone: 'CST' })).toMatchObject({ status: 400, field: 'time_zone', cure: expect.stringContaining('Asia/Shanghai') });
    expect(await refused({ agent: 'nobody' })).toMatchObject({ status: 404, field: 'agent' });
    await createSchedule(api, 'n');
    await createSchedule(api, 'm');
    expect(await refused({})).toMatchObject({ status: 409, field: 'name' });
    const patch = (body: object) => api.raw('/api/v1/schedules/m', { method: 'PATCH', headers: { authorization: `Bearer ${api.apiKey}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    expect((await patch({ name: 'n' })).body).toMatchObject({ status: 409, field: 'name' });
    expect((await patch({ cron: 'x' })).body).toMatchObject({ status: 400, field: 'cron' });
    expect((await patch({ cron: '0 9 * * 1', time_zone: 'Europe/Berlin' })).body).toMatchObject({ cron: '0 9 * * 1', time_zone: 'Europe/Berlin', next_fires: [expect.stringMatching(/T09:00:00\+0[12]:00$/), expect.anything(), expect.anything(), expect.anything(), expect.anything()] });
    expect((await api.post('/agents/worker/runs', { input: 'x', idempotency_key: 'schedule:x' })).body).toMatchObject({ status: 400, field: 'idempotency_key' });
    expect((await api.post('/agents/worker/runs', { input: 'x', start_at: '2020-01-01T00:00:00Z' })).body).toMatchObject({ status: 400, field: 'start_at' });
  });

  it('a stream of a run that starts later waits quietly and then has all of it', async () => {
    const home = await createHome();
    const { api } = await home.start();
    await api.publishAgent('worker', { tools: [] });
    const events = await collect(api.stream('/agents/worker/runs', { method: 'POST', body: { input: '[streamed-later] x', delay_s: 2, stream: true } }));
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['run_created', 'run_started', 'run_completed']));
    const times = listAt((await api.get(`/runs/${textAt(events[0]?.data, 'run_id')}/events`)).body, 'items').map((event) => Date.parse(textAt(event, 'at')));
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(1_900);
  });
});
