import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient, SseEvent } from './harness/api-client.ts';
import { collect } from './harness/api-client.ts';
import { createCleanup } from './harness/cleanup.ts';
import type { DataFolder } from './harness/data-folder.ts';
import { createDataFolder } from './harness/data-folder.ts';
import { at, textAt } from './harness/json.ts';
import type { Behaviour, ModelServer } from './harness/model-server.ts';
import { after, answer, calls, startModelServer } from './harness/model-server.ts';
import type { ProductServer } from './harness/product-server.ts';
import { startProductServer } from './harness/product-server.ts';
import type { Platform } from './harness/start-platform.ts';
import { startPlatform } from './harness/start-platform.ts';
import { waitUntil } from './harness/wait-until.ts';

/** Blocks without an approval and without a quota, so that hundreds of runs act at once. */
const OPEN_POLICY = `pii_masking:
  enabled: true
  rules: []
rbac:
  roles:
    - name: "analyst"
      members: ["group:security-ops"]
      tools: ["*"]
      agents: ["*"]
`;

const cleanup = createCleanup();
const perTest = createCleanup();
let model: ModelServer;
let product: ProductServer;
let openPolicy: string;

beforeAll(async () => {
  model = await startModelServer();
  cleanup.add(model.close);
  product = await startProductServer();
  cleanup.add(product.close);
  openPolicy = await mkdtemp(path.join(tmpdir(), 'openeaap-policy-'));
  cleanup.add(() => rm(openPolicy, { recursive: true }));
  await writeFile(path.join(openPolicy, 'open.yaml'), OPEN_POLICY);
});
afterAll(() => cleanup.run());
afterEach(() => perTest.run());

interface World {
  readonly folder: DataFolder;
  readonly start: () => Promise<Platform>;
}

async function createWorld(args: readonly string[] = []): Promise<World> {
  const folder = await createDataFolder();
  perTest.add(folder.remove);
  return {
    folder,
    start: async () => {
      const platform = await startPlatform({ folder, args, env: { ...model.env, ...product.env } });
      perTest.add(platform.kill);
      return platform;
    },
  };
}

const publish = (api: ApiClient): Promise<string> => api.publishAgent('blocker', { tools: ['firewall_block_ip', 'calculator', 'check_ip_reputation'] });

/** Blocks the address that the input names, then says so. */
const blockThenAnswer: Behaviour = (response, request) => {
  if (request.messages.some(({ role }) => role === 'tool')) return answer('blocked')(response, request);
  const ip = /\d+\.\d+\.\d+\.\d+/.exec(request.messages.find(({ role }) => role === 'user')?.content ?? '')?.[0] ?? '';
  return calls('block it', { name: 'firewall_block_ip', args: { ip, reason: 'load' } })(response, request);
};

describe('a stop with SIGTERM', () => {
  it('keeps a run that waits for approval; approved after the restart, it finishes and acts once', async () => {
    const world = await createWorld();
    const before = await world.start();
    await publish(before.api);
    model.script('wait', blockThenAnswer);
    const runId = await before.api.startRun('blocker', '[wait] 45.62.1.1');
    const approvalId = await before.api.pendingApproval(runId);
    const seen = await before.api.events(runId);
    expect(await before.stop()).toBe(0);
    expect(await world.folder.postmasterPid(), 'a clean stop stops the database too').toBeNull();

    const { api } = await world.start();
    expect(api.apiKey, 'the key is the one of the first start').toBe(before.api.apiKey);
    expect(await api.run(runId)).toMatchObject({ status: 'paused', pause_reason: 'approval', pending_approvals: [approvalId] });
    expect(product.blockRequests('45.62.1.1')).toEqual([]);
    await api.decide(approvalId, { verdict: 'approve' });
    expect(await api.ended(runId)).toMatchObject({ status: 'completed', output: 'blocked' });
    expect(product.blockRequests('45.62.1.1')).toHaveLength(1);
    const events = await collect(api.stream(`/runs/${runId}/events`));
    expect(events.slice(0, seen.length)).toEqual(seen);
    expect(events.map(({ id }) => id)).toEqual(events.map((_event, index) => index + 1));
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
  });

  it('goes on after the restart with a run that was thinking, and asks the model again', async () => {
    const world = await createWorld(['--policy-dir', openPolicy]);
    const before = await world.start();
    await publish(before.api);
    model.script('thinking', after(new Promise(() => undefined), answer('never')), answer('thought again'));
    const runId = await before.api.startRun('blocker', '[thinking] x');
    await waitUntil('the model was asked', () => model.requests('thinking').length === 1);
    const stopping = before.stop();
    expect(await stopping).toBe(0);
    const { api } = await world.start();
    expect(await api.ended(runId)).toMatchObject({ status: 'completed', output: 'thought again' });
  });

  it('ends open streams so that clients can resume elsewhere', async () => {
    const world = await createWorld(['--policy-dir', openPolicy]);
    const before = await world.start();
    await publish(before.api);
    let answerNow = (): void => undefined;
    model.script('streamed', after(new Promise<void>((resolve) => (answerNow = resolve)), answer('never')), answer('resumed'));
    const runId = await before.api.startRun('blocker', '[streamed] x');
    const seen: SseEvent[] = [];
    const first = (async (): Promise<void> => {
      for await (const event of before.api.stream(`/runs/${runId}/events`)) seen.push(event);
    })();
    await waitUntil('the model was asked and the reader has seen it', () => model.requests('streamed').length === 1 && seen.length > 2);
    await before.stop();
    await first;
    answerNow();
    const { api } = await world.start();
    const rest = await collect(api.stream(`/runs/${runId}/events`, { headers: { 'last-event-id': String(seen.findLast(({ id }) => id !== null)?.id) } }));
    const ids = [...seen, ...rest].flatMap(({ id }) => (id === null ? [] : [id]));
    expect(ids).toEqual(ids.map((_id, index) => index + 1));
    expect(rest.at(-1)).toMatchObject({ type: 'run_completed', data: { output: 'resumed' } });
  });
});

describe('a stop with SIGTERM while clients come', () => {
  it('does not wait for streams that are opened at that very moment', async () => {
    const world = await createWorld();
    const before = await world.start();
    await publish(before.api);
    model.script('late', blockThenAnswer);
    const runId = await before.api.startRun('blocker', '[late] 45.62.1.9');
    await before.api.pendingApproval(runId);
    const readers: Promise<unknown>[] = [];
    let stopping: Promise<number | null> | null = null;
    // The run waits for a person, so nothing but the server can end a stream of it.
    for (let number = 0; number < 60; number += 1) {
      readers.push(collect(before.api.stream(`/runs/${runId}/events`)).catch(() => null));
      if (number === 30) stopping = before.stop();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const begun = performance.now();
    expect(await stopping).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await Promise.all(readers);
  });
});

describe('kill -9', () => {
  it('while a destructive call is in flight: it is made again with the same key, and the product does it once', async () => {
    const world = await createWorld(['--policy-dir', openPolicy]);
    const before = await world.start();
    await publish(before.api);
    let release = (): void => undefined;
    product.behave('firewall', '45.62.2.1', { kind: 'hold', until: new Promise<void>((resolve) => (release = resolve)) });
    model.script('in-flight', blockThenAnswer);
    const runId = await before.api.startRun('blocker', '[in-flight] 45.62.2.1');
    await waitUntil('the firewall was asked', () => product.blockRequests('45.62.2.1').length === 1);
    await before.kill();
    release();
    const { api } = await world.start();
    expect(await api.ended(runId)).toMatchObject({ status: 'completed', output: 'blocked' });
    const requests = product.blockRequests('45.62.2.1');
    expect(requests).toHaveLength(2);
    expect(requests[1]?.key, 'the same Idempotency-Key').toBe(requests[0]?.key);
    expect(requests[0]?.key).not.toBe('');
    expect(product.effects('45.62.2.1')).toHaveLength(1);
    const act = (await api.steps(runId)).find((step) => at(step, 'tool') === 'firewall_block_ip');
    expect(act).toMatchObject({ status: 'done', attempts: 2, result: { duplicate: true } });
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
  });

  it('while a run waits for approval: it still waits, and an approval given at once after the restart counts', async () => {
    const world = await createWorld();
    const before = await world.start();
    await publish(before.api);
    model.script('wait-kill', blockThenAnswer);
    const runId = await before.api.startRun('blocker', '[wait-kill] 45.62.2.2');
    const approvalId = await before.api.pendingApproval(runId);
    await before.kill();
    const { api } = await world.start();
    await api.decide(approvalId, { verdict: 'approve' });
    expect(await api.ended(runId)).toMatchObject({ status: 'completed' });
    expect(product.blockRequests('45.62.2.2')).toHaveLength(1);
  });

  it.each([
    ['of the server', false, 1],
    ['of the server and its database', true, 2],
  ])('%s under load loses no accepted run and acts for none twice', async (_what, withDatabase, net) => {
    const world = await createWorld(['--policy-dir', openPolicy]);
    const before = await world.start();
    await publish(before.api);
    model.script(`load-${net}`, blockThenAnswer);
    const wanted = Array.from({ length: 320 }, (_none, index) => ({ key: `load-${net}-${index}`, ip: `45.${70 + net}.${Math.floor(index / 200)}.${(index % 200) + 1}` }));
    const acknowledged = new Map<string, string>();
    const accept = async (api: ApiClient, one: (typeof wanted)[number]): Promise<void> => {
      const reply = await api.post('/agents/blocker/runs', { input: `[load-${net}] ${one.ip}`, idempotency_key: one.key });
      if (reply.status !== 202 && reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${JSON.stringify(reply.body)}`);
      acknowledged.set(one.key, textAt(reply.body, 'run_id'));
    };
    const queue = [...wanted];
    const clients = Array.from({ length: 16 }, async () => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) await accept(before.api, one).catch(() => undefined);
    });
    await waitUntil('half of the runs are accepted and some have acted', () => acknowledged.size >= 160 && product.blockRequests().some(({ ip }) => ip.startsWith(`45.${70 + net}.`)));
    await before.kill();
    if (withDatabase) await world.folder.killPostmaster();
    await Promise.all(clients);
    expect((await world.folder.postmasterPid()) === null, 'the database outlives its platform unless it was killed too').toBe(withDatabase);
    const told = new Map(acknowledged);
    expect(told.size).toBeLessThan(wanted.length);

    const { api } = await world.start();
    const missing = await missingRuns(api, [...told.values()]);
    expect(missing, 'every acknowledged run must be there').toEqual([]);
    // A client that was cut off sends the same again: the same key is the same run.
    for (const one of wanted) await accept(api, one);
    for (const [key, runId] of told) expect(acknowledged.get(key)).toBe(runId);
    expect(new Set(acknowledged.values()).size).toBe(wanted.length);
    for (const runId of acknowledged.values()) expect(await api.ended(runId, 60_000)).toMatchObject({ status: 'completed', output: 'blocked' });
    const effects = wanted.map(({ ip }) => product.effects(ip).length);
    expect(effects.filter((count) => count !== 1), 'each address is blocked exactly once').toEqual([]);
    expect(await verify(api)).toMatchObject({ ok: true, problems: [] });
  });

  it('of the database alone: the server says so and ends, and the next start has everything', async () => {
    const world = await createWorld();
    const before = await world.start();
    await publish(before.api);
    model.script('db-kill', blockThenAnswer);
    const runId = await before.api.startRun('blocker', '[db-kill] 45.62.2.3');
    await before.api.pendingApproval(runId);
    await world.folder.killPostmaster();
    const { code } = await before.exited;
    expect(code).toBe(1);
    expect(before.stderr()).toContain('cannot go on');
    const { api } = await world.start();
    expect(await api.run(runId)).toMatchObject({ status: 'paused' });
  });
});

async function verify(api: ApiClient): Promise<unknown> {
  return (await api.post('/audit/verify')).body;
}

async function missingRuns(api: ApiClient, ids: readonly string[]): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const id of ids) if ((await api.get(`/runs/${id}`)).status !== 200) missing.push(id);
  return missing;
}
