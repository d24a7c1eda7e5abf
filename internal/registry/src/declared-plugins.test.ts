import { status } from '@grpc/grpc-js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { ServedPlugin, ToolContext, ToolInvocation } from '@openeaap/adapter';
import { servePlugin } from '@openeaap/adapter';
import { ExecuteStepEvent, StepKind } from '@openeaap/proto';
import { PlatformError } from '@openeaap/kernel';
import { parsePluginFile } from './declare/parse-declaration.ts';
import { createAuthority, loadAuthority } from './launch/authority.ts';
import { createPeerSource } from './peer-source.ts';
import type { PluginStatus } from './plugin-status.ts';
import type { PluginNews, Registry } from './registry.ts';
import { createRegistry } from './registry.ts';
import type { RawPlugin } from './testing/raw-plugin.ts';
import { RawStatus, aTool, startRawPlugin } from './testing/raw-plugin.ts';
import { aThinkRequest } from './testing/a-think-request.ts';

const FAST = { healthEveryMs: 40, healthTimeoutMs: 150, backoffMs: { first: 10, longest: 80 }, calmMs: 60_000 };
const open: { readonly plugins: RawPlugin[]; readonly registries: Registry[] } = { plugins: [], registries: [] };
afterEach(async () => {
  await Promise.all(open.registries.splice(0).map((registry) => registry.close(100)));
  for (const plugin of open.plugins.splice(0)) plugin.stop();
});

async function start(...args: Parameters<typeof startRawPlugin>): Promise<RawPlugin> {
  const plugin = await startRawPlugin(...args);
  open.plugins.push(plugin);
  return plugin;
}

interface Opened extends Registry {
  readonly news: readonly PluginNews[];
  readonly put: (entries: readonly object[]) => void;
  readonly status: (name: string) => Promise<PluginStatus>;
}

async function openRegistry(entries: readonly object[], variables: Readonly<Record<string, string>> = {}): Promise<Opened> {
  const news: PluginNews[] = [];
  const registry = await createRegistry({
    plugins: [],
    secret: (name) => variables[name],
    toPeerSource: createPeerSource({
      platformVersion: '0', variable: (name) => variables[name], cwd: '.', inherited: {}, setpriv: null, toImageLauncher: null, fetch: globalThis.fetch,
      onOutput: () => undefined, readPins: async () => ({}), keepPins: async () => undefined,
    }),
    onNews: (item) => void news.push(item),
    times: FAST,
  });
  open.registries.push(registry);
  const put = (list: readonly object[]): void => registry.declare('file', parsePluginFile({ plugins: list }, 'plugins.yaml').plugins.map((declaration) => ({ declaration, generation: 1 })));
  put(entries);
  await registry.settle(5_000);
  const statusOf = async (name: string): Promise<PluginStatus> => {
    const found = (await registry.listPlugins()).find((plugin) => plugin.name === name);
    if (found === undefined) throw new Error(`no plugin ${name}`);
    return found;
  };
  return { ...registry, news, put, status: statusOf };
}

const at = (plugin: RawPlugin, name = 'p', rest: object = {}): object => ({ name, type: 'runtime-worker', address: plugin.address, start_timeout_ms: 400, ...rest });
const invocation = (tool: string, rest: Partial<ToolInvocation> = {}): ToolInvocation => ({ tool, args: { q: 'x' }, idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false, ...rest });
const context = (rest: Partial<ToolContext> = {}): Omit<ToolContext, 'secrets'> => ({ signal: new AbortController().signal, principal: { tenantId: 't', userId: 'u', groups: ['soc'], clearance: 2 }, traceContext: { traceparent: '00-1-2-01' }, ...rest });
const SOON = { timeout: 5_000, interval: 10 };

describe('a declared plugin', () => {
  test('is discovered by its handshake and called with all that the protocol promises', async () => {
    const plugin = await start([aTool('look_up')]);
    const registry = await openRegistry([at(plugin, 'p', { token_env: 'T' })], { T: 'the-token' });
    expect(registry.findTool('look_up')).toMatchObject({ name: 'look_up', effect: 'read', timeoutMs: 30_000 });
    expect(await registry.status('p')).toMatchObject({ status: 'ready', sdk: 'test 0', version: '1', tools: ['look_up'], copies: { ready: 1, wanted: 1 } });
    expect(await registry.call(invocation('look_up'), context())).toEqual({ output: { q: 'x' } });
    expect(plugin.tokens).toEqual(['Bearer the-token']);
    expect(plugin.steps).toMatchObject([{ kind: StepKind.STEP_KIND_TOOL, tool: 'look_up', idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, tenantId: 't', principal: { userId: 'u', groups: ['soc'], clearance: 2 }, traceContext: { traceparent: '00-1-2-01' } }]);
  });

  test('gets the secrets that were granted and named, and what it gives away of them is not kept', async () => {
    const plugin = await start([aTool('a', { secrets: ['K1', 'K2'] }), aTool('b')], { execute: (request) => ({ outputPayload: JSON.stringify({ seen: request.ephemeralCredentials }) }) });
    const registry = await openRegistry([at(plugin, 'p', { secrets: ['K1', 'K3'] })], { K1: 'value-one', K2: 'value-two', K3: 'value-three' });
    expect(await registry.call(invocation('a'), context())).toEqual({ output: { seen: { K1: '[secret K1]' } } });
    expect(await registry.call(invocation('b'), context())).toEqual({ output: { seen: { K1: '[secret K1]', K3: '[secret K3]' } } });
    expect(plugin.steps.map((step) => step.ephemeralCredentials)).toEqual([{ K1: 'value-one' }, { K1: 'value-one', K3: 'value-three' }]);
    expect((await registry.status('p')).warnings).toEqual(['The tool a asks for the secret K2, which its declaration does not grant.']);
  });

  test('that is down when it is declared is found when it comes', async () => {
    const gone = await startRawPlugin([aTool('look_up')]);
    gone.stop();
    const registry = await openRegistry([at(gone)]);
    expect(await registry.status('p')).toMatchObject({ status: 'down', detail: expect.stringContaining('nothing accepted a connection') });
    await start([aTool('look_up')], { address: gone.address });
    await expect.poll(async () => (await registry.status('p')).status, SOON).toBe('ready');
  });

  test('that crashes keeps its tools; a call waits for it and nobody asks twice', async () => {
    const first = await startRawPlugin([aTool('look_up', { timeoutMs: 5_000 })]);
    const registry = await openRegistry([at(first)]);
    first.stop();
    await expect.poll(async () => (await registry.status('p')).status, SOON).toBe('down');
    expect(registry.findTool('look_up')).not.toBeNull();
    const waiting = registry.call(invocation('look_up'), context());
    const second = await start([aTool('look_up')], { address: first.address });
    expect(await waiting).toEqual({ output: { q: 'x' } });
    expect(second.steps).toHaveLength(1);
    expect((await registry.status('p')).copies.restarts).toBeGreaterThan(0);
  });

  test('that stays away: the call says that nothing was done', async () => {
    const plugin = await startRawPlugin([aTool('look_up', { timeoutMs: 200 })]);
    const registry = await openRegistry([at(plugin)]);
    plugin.stop();
    await expect.poll(async () => (await registry.status('p')).status, SOON).toBe('down');
    await expect(registry.call(invocation('look_up'), context())).rejects.toMatchObject({ message: expect.stringMatching(/"p" is down; nothing was done|did not answer/) });
  });

  test('that dies in the middle of a call leaves its outcome unknown', async () => {
    const plugin = await startRawPlugin([aTool('act', { idempotent: false })], { execute: () => 'silent' });
    const registry = await openRegistry([at(plugin)]);
    const call = registry.call(invocation('act'), context());
    await expect.poll(() => plugin.steps.length, SOON).toBe(1);
    plugin.stop();
    await expect(call).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('broke off in the middle of a step') });
  });

  test('that hangs is left after the tool\'s own time, and told that nobody waits', async () => {
    const plugin = await start([aTool('act', { timeoutMs: 100 })], { execute: () => 'silent' });
    const registry = await openRegistry([at(plugin)]);
    await expect(registry.call(invocation('act'), context())).rejects.toMatchObject({ code: 'tool_timeout' });
    await expect.poll(() => plugin.cancelled, SOON).toBe(1);
  });

  test('that hangs at its health checks gets no steps and is connected to anew', async () => {
    const plugin = await start([aTool('look_up')]);
    const registry = await openRegistry([at(plugin)]);
    plugin.healthy = 'silent';
    await expect.poll(() => registry.news.map(({ status: told }) => told), SOON).toContain('sick');
    plugin.healthy = false;
    await expect.poll(async () => (await registry.status('p')).detail, SOON).toContain('no model');
    plugin.healthy = true;
    await expect.poll(async () => (await registry.status('p')).status, SOON).toBe('ready');
  });

  test.each<[string, Parameters<typeof startRawPlugin>[1], RegExp, string]>([
    ['speaks a newer version', { handshake: { protocolVersion: 0, protocolVersions: [2, 3] } }, /speaks version 2, 3 .* this platform 1\. Upgrade the platform/, 'incompatible'],
    ['answers with a version that nobody asked for', { handshake: { protocolVersion: 7, protocolVersions: [7] } }, /speaks version 7/, 'incompatible'],
    ['offers a schema that is no JSON', { handshake: { tools: [aTool('bad', { inputSchema: '{' })] } }, /"p" offers what cannot be used: .*bad/, 'refused'],
    ['offers a schema that is no schema', { handshake: { tools: [aTool('bad', { inputSchema: '{"type":"nonsense"}' })] } }, /bad/, 'refused'],
    ['offers one tool twice', { handshake: { tools: [aTool('twice'), aTool('twice')] } }, /twice/, 'refused'],
    ['offers a tool with a name that no model can say', { handshake: { tools: [aTool('rm -rf /')] } }, /rm -rf/, 'refused'],
  ])('that %s is refused with its name and the cure', async (_name, rest, message, expected) => {
    const registry = await openRegistry([at(await start([], rest))]);
    expect(await registry.status('p')).toMatchObject({ status: expected, detail: expect.stringMatching(message) });
    expect(registry.listTools()).toEqual([]);
  });

  test.each<[string, () => Promise<never> | object, string]>([
    ['garbage in place of JSON', () => ({ outputPayload: '<html>' }), 'internal'],
    ['an error of its own', () => ({ error: { code: 2, message: 'the firewall said no', retryable: false } }), 'tool_failed'],
    ['that it does not have the tool it offers', () => ({ error: { code: 1, message: 'no such tool', retryable: false } }), 'tool_failed'],
    ['an error that may be tried again', () => ({ error: { code: 3, message: 'not now', retryable: true } }), 'tool_unavailable'],
    ['INVALID_ARGUMENT', () => Promise.reject(new RawStatus(status.INVALID_ARGUMENT)), 'invalid_input'],
    ['UNKNOWN', () => Promise.reject(new Error('x')), 'internal'],
    ['UNAUTHENTICATED', () => Promise.reject(new RawStatus(status.UNAUTHENTICATED)), 'unauthenticated'],
  ])('that answers with %s: the message is ours, never its own words of the wire', async (_name, execute, code) => {
    const registry = await openRegistry([at(await start([aTool('act', { effect: 2 })], { execute }))]);
    const error = await registry.call(invocation('act'), context()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PlatformError);
    expect(error).toMatchObject({ code });
    expect((error as PlatformError).message).not.toContain('the secret inside');
  });

  test('that sends more than we receive breaks that call alone', async () => {
    const plugin = await start([aTool('act')], { execute: () => ({ outputPayload: JSON.stringify('x'.repeat(34_000_000)) }) });
    const registry = await openRegistry([at(plugin)]);
    await expect(registry.call(invocation('act'), context())).rejects.toMatchObject({ message: expect.stringContaining('larger than its receiver takes') });
    plugin.execute = () => ({ outputPayload: '1' });
    expect(await registry.call(invocation('act'), context())).toEqual({ output: 1 });
  });

  test('that receives less than the step is: it is not sent, and says how large it is', async () => {
    const registry = await openRegistry([at(await start([aTool('act')], { handshake: { maxMessageBytes: 1_000 } }))]);
    await expect(registry.call(invocation('act', { args: { q: 'x'.repeat(2_000) } }), context())).rejects.toMatchObject({ code: 'payload_too_large', details: { sent: false }, message: expect.stringContaining('receives at most 1000') });
  });
});

describe('over TLS', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'oea-tls-test-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    const place = path.join(folder, name);
    writeFileSync(place, text);
    return place;
  };
  const newAuthority = (name: string) => loadAuthority(createAuthority(name, Date.now), { now: Date.now });
  const serve = async (): Promise<{ readonly plugin: ServedPlugin; readonly tls: object }> => {
    const authority = newAuthority('test');
    const [server, client] = [authority.issueServer(['soc-tools']), authority.issueClient('platform')];
    const plugin = await servePlugin({
      name: 'p', version: '1', sdk: { language: 'test', version: '0' }, listen: '127.0.0.1:0', log: () => undefined, tls: { cert: server.cert, key: server.key, clientCa: authority.cert },
      tools: { handshake: async () => ({ name: 'p', version: '1', tools: [{ name: 'look_up', version: '1', description: '', inputSchema: { type: 'object' }, effect: 'read', idempotent: true, timeoutMs: 1_000 }] }), healthCheck: async () => ({ serving: true, detail: '' }), call: async () => ({ output: 'over TLS' }) },
    });
    return { plugin, tls: { ca: file('ca.pem', authority.cert), cert: file('cert.pem', client.cert), key: file('key.pem', client.key), server_name: 'soc-tools' } };
  };
  const declare = (plugin: ServedPlugin, tls: object): object => ({ name: 'p', type: 'runtime-worker', address: `dns:///localhost:${plugin.address.split(':').at(-1) ?? ''}`, tls, start_timeout_ms: 700 });

  test('both sides show a certificate, and the name in the address is found by DNS', async () => {
    const { plugin, tls } = await serve();
    const registry = await openRegistry([declare(plugin, tls)]);
    expect(await registry.status('p')).toMatchObject({ status: 'ready' });
    expect(await registry.call(invocation('look_up', { args: {} }), context())).toEqual({ output: 'over TLS' });
    await plugin.close(0);
  });

  test.each<[string, (tls: object) => object, RegExp]>([
    ['without a certificate of ours', ({ ca, server_name: name }: { ca?: string; server_name?: string }) => ({ ca, server_name: name }), /cannot be reached|refused|failed/],
    ['whose authority we do not know', (tls) => ({ ...tls, ca: file('other.pem', newAuthority('other').cert) }), /cannot be reached.*same TLS settings/],
    ['whose certificate is for another name', (tls) => ({ ...tls, server_name: 'somebody-else' }), /cannot be reached/],
    ['whose file is not there', (tls) => ({ ...tls, ca: '/nowhere/ca.pem' }), /\/nowhere\/ca\.pem of the plugin "p" \(tls\.ca\) cannot be read/],
  ])('a plugin %s gets no steps', async (_name, change, message) => {
    const { plugin, tls } = await serve();
    const registry = await openRegistry([declare(plugin, change(tls))]);
    expect((await registry.status('p')).detail).toMatch(message);
    expect(registry.findTool('look_up')).toBeNull();
    await plugin.close(0);
  });
});

describe('two plugins', () => {
  test('with one tool: the second is in conflict, both are named, and the first goes on', async () => {
    const [a, b] = [await start([aTool('same')]), await start([aTool('same'), aTool('other')])];
    const registry = await openRegistry([at(a, 'a')]);
    registry.put([at(a, 'a'), at(b, 'b')]);
    await expect.poll(async () => (await registry.status('b')).status, SOON).toBe('conflict');
    expect((await registry.status('b')).detail).toMatch(/"a" and "b" both offer a tool "same"/);
    expect(registry.findTool('other')).toBeNull();
    await registry.call(invocation('same'), context());
    expect([a.steps.length, b.steps.length]).toEqual([1, 0]);
    registry.put([at(b, 'b')]);
    await expect.poll(async () => (await registry.status('b')).status, SOON).toBe('ready');
    await registry.call(invocation('same'), context());
    expect(b.steps).toHaveLength(1);
  });

  test('one that crashes over and over is reported and does not touch the other', async () => {
    const good = await start([aTool('good')]);
    const bad = await startRawPlugin([aTool('bad')]);
    bad.stop();
    const registry = await openRegistry([at(good, 'good'), at(bad, 'bad')]);
    await expect.poll(async () => (await registry.status('bad')).copies.restarts, SOON).toBeGreaterThan(2);
    expect(await registry.status('good')).toMatchObject({ status: 'ready', copies: { restarts: 0 } });
    expect(await registry.call(invocation('good'), context())).toEqual({ output: { q: 'x' } });
  });
});

describe('a changed declaration', () => {
  test('replaces the plugin when the new one is ready, and lets steps under way end', async () => {
    let finish: (value: object) => void = () => undefined;
    const old = await start([aTool('act')], { execute: () => new Promise((resolve) => { finish = resolve; }) });
    const fresh = await start([aTool('act', { version: '2' })]);
    const registry = await openRegistry([at(old)]);
    const underWay = registry.call(invocation('act'), context());
    await expect.poll(() => old.steps.length, SOON).toBe(1);
    registry.put([at(fresh)]);
    await expect.poll(() => registry.findTool('act')?.version, SOON).toBe('2');
    expect(await registry.call(invocation('act'), context())).toEqual({ output: { q: 'x' } });
    finish({ outputPayload: '"old"' });
    expect(await underWay).toEqual({ output: 'old' });
  });

  test('that never comes up leaves the old one at work, and says so', async () => {
    const old = await start([aTool('act')]);
    const dead = await startRawPlugin([]);
    dead.stop();
    const registry = await openRegistry([at(old)]);
    registry.put([at(dead)]);
    await expect.poll(async () => (await registry.status('p')).detail, SOON).toContain('Its replacement does not come up');
    expect(await registry.call(invocation('act'), context())).toEqual({ output: { q: 'x' } });
  });

  test('that is withdrawn takes its tools along', async () => {
    const registry = await openRegistry([at(await start([aTool('act')]))]);
    registry.put([]);
    expect(registry.findTool('act')).toBeNull();
    expect(await registry.listPlugins()).toEqual([]);
  });
});

describe('a hosted agent', () => {
  const finish = { proposal: { thought: 't', calls: [], output: '"done"' } };
  const runtime = async (registry: Registry) => registry.findRuntime('p') ?? Promise.reject(new Error('no runtime'));
  const think = (registry: Registry, signal = new AbortController().signal, deltas: string[] = []) =>
    runtime(registry).then((adapter) => adapter.executeStep(aThinkRequest({ ephemeralCredentials: { OPENEAAP_MODEL_TOKEN: 'step-secret-1' } }), { signal, onDelta: (text) => void deltas.push(text) }));

  test('thinks, and gives nothing of its token away', async () => {
    const plugin = await start([], { handshake: { agents: [{ name: 'triage', description: '', reasoningModes: [] }] }, execute: () => ({ ...finish, proposal: { thought: 'my key is step-secret-1', calls: [], output: '"done"' }, strategyState: '{"k":"step-secret-1"}' }) });
    const registry = await openRegistry([at(plugin)]);
    expect(registry.listAgents('p')).toMatchObject([{ name: 'triage' }]);
    const response = await think(registry);
    expect(response).toMatchObject({ proposal: { output: 'done', thought: 'my key is [secret OPENEAAP_MODEL_TOKEN]' }, strategyState: { k: '[secret OPENEAAP_MODEL_TOKEN]' } });
    expect(plugin.steps[0]).toMatchObject({ kind: StepKind.STEP_KIND_THINK, ephemeralCredentials: { OPENEAAP_MODEL_TOKEN: 'step-secret-1' } });
  });

  test('streams its text, and one response', async () => {
    const events = [{ $case: 'delta', value: 'he' }, { $case: 'delta', value: 'llo' }, { $case: 'response', value: finish }] as const;
    const plugin = await start([], { handshake: { streaming: true, agents: [{ name: 'a', description: '', reasoningModes: [] }] }, stream: () => events.map((event) => ExecuteStepEvent.fromPartial({ event })) });
    const registry = await openRegistry([at(plugin)]);
    const deltas: string[] = [];
    await expect(think(registry, undefined, deltas)).resolves.toMatchObject({ proposal: { output: 'done' } });
    expect(deltas).toEqual(['he', 'llo']);
    plugin.stream = () => [];
    await expect(think(registry)).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('without a response') });
    plugin.stream = () => [events[2], events[2]].map((event) => ExecuteStepEvent.fromPartial({ event }));
    await expect(think(registry)).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('more after the response') });
  });

  test('that dies in the middle of a think is asked again when it is back: a think changes nothing', async () => {
    const first = await startRawPlugin([], { handshake: { agents: [{ name: 'a', description: '', reasoningModes: [] }] }, execute: () => 'silent' });
    const registry = await openRegistry([at(first)]);
    const thinking = think(registry);
    await expect.poll(() => first.steps.length, SOON).toBe(1);
    first.stop();
    const second = await start([], { address: first.address, execute: () => finish });
    await expect(thinking).resolves.toMatchObject({ proposal: { output: 'done' } });
    expect(second.steps).toHaveLength(1);
  });

  test('is stopped by the signal of its run', async () => {
    const plugin = await start([], { execute: () => 'silent' });
    const registry = await openRegistry([at(plugin)]);
    const stop = new AbortController();
    const thinking = think(registry, stop.signal);
    await expect.poll(() => plugin.steps.length, SOON).toBe(1);
    stop.abort();
    await expect(thinking).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => plugin.cancelled, SOON).toBe(1);
  });

  test('has no more steps at once than it wants', async () => {
    const waiting: ((value: object) => void)[] = [];
    const plugin = await start([aTool('act')], { handshake: { maxConcurrentSteps: 2 }, execute: () => new Promise((resolve) => { waiting.push(resolve); }) });
    const registry = await openRegistry([at(plugin)]);
    const calls = [1, 2, 3].map(() => registry.call(invocation('act'), context()));
    await expect.poll(() => plugin.steps.length, SOON).toBe(2);
    waiting.shift()?.({ outputPayload: '1' });
    await expect.poll(() => plugin.steps.length, SOON).toBe(3);
    for (const done of waiting) done({ outputPayload: '1' });
    await expect(Promise.all(calls)).resolves.toHaveLength(3);
  });
});
