import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { credentials, makeClientConstructor, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import type { ToolSpec } from '@openeaap/kernel';
import { NO_USAGE, PlatformError } from '@openeaap/kernel';
import { ErrorCode, RuntimeServiceService, StepKind } from '@openeaap/proto';
import type { RuntimeAdapter, ThinkResponse } from '../runtime.ts';
import { connectPlugin } from '../testing/connect-plugin.ts';
import type { Caller } from '../testing/connect-plugin.ts';
import { makeCertificates } from '../testing/make-certificates.ts';
import type { ToolAdapter, ToolContext, ToolInvocation } from '../tool-adapter.ts';
import { NOTHING_CHANGED } from '../wire/error-wire.ts';
import type { PluginLogEntry } from './plugin-log.ts';
import type { ServePluginOptions, ServedPlugin } from './serve-plugin.ts';
import { servePlugin } from './serve-plugin.ts';

const spec = (name: string): ToolSpec => ({ name, version: '1', description: '', inputSchema: { type: 'object' }, effect: 'read', idempotent: true, timeoutMs: 1_000 });

const opened: { readonly close: () => unknown }[] = [];
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close();
});

/** Tools of a test: what a call does is the test's. */
function toolsOf(call: (invocation: ToolInvocation, context: ToolContext) => unknown, names: readonly string[] = ['t']): ToolAdapter {
  return {
    handshake: async () => ({ name: 'p', version: '1', tools: names.map(spec) }),
    healthCheck: async () => ({ serving: true, detail: 'well' }),
    call: async (invocation, context) => ({ output: (await call(invocation, context)) as never }),
  };
}

const response = (thought: string): ThinkResponse => ({ proposal: { thought, calls: [], output: null }, strategyState: null, auditLogs: [], metadata: { usage: NO_USAGE, backend: '' } });

function runtimeOf(agents: readonly string[], executeStep: RuntimeAdapter['executeStep']): RuntimeAdapter {
  return {
    handshake: async () => ({ name: 'r', version: '1', reasoningModes: [], agents: agents.map((name) => ({ name, description: '', reasoningModes: [] })) }),
    healthCheck: async () => ({ serving: true, detail: '' }),
    executeStep,
  };
}

async function serve(options: Partial<ServePluginOptions>): Promise<{ readonly plugin: ServedPlugin; readonly caller: Caller; readonly log: readonly PluginLogEntry[] }> {
  const log: PluginLogEntry[] = [];
  const plugin = await servePlugin({ name: 'p', version: '1.2.3', sdk: { language: 'typescript', version: '0' }, listen: '127.0.0.1:0', log: (entry) => log.push(entry), ...options });
  opened.push({ close: () => plugin.close(0) });
  const caller = connectPlugin(plugin.address, typeof options.token === 'string' ? { token: options.token } : {});
  opened.push(caller);
  return { plugin, caller, log };
}

const toolStep = { kind: StepKind.STEP_KIND_TOOL, tool: 't', inputPayload: '{}', runId: 'r', stepId: 's', idempotencyKey: 'r:1' };
const thinkStep = { kind: StepKind.STEP_KIND_THINK, inputPayload: '"x"', runId: 'r', stepId: 's', stepNo: 1 };
/** Resolves once `ready` was called: what a test waits for instead of sleeping. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}
const untilAborted = (signal: AbortSignal): Promise<never> => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

describe('the handshake', () => {
  test('says what is offered, how much is received and who serves', async () => {
    const { caller } = await serve({ tools: toolsOf(() => 1), runtime: runtimeOf(['a'], async () => response('')), maxConcurrentSteps: 3 });
    expect(await caller.handshake({ protocolVersions: [1, 7] })).toMatchObject({
      protocolVersion: 1, protocolVersions: [1], name: 'p', version: '1.2.3', sdk: { language: 'typescript' }, tools: [{ name: 't' }], agents: [{ name: 'a' }], streaming: true, maxMessageBytes: 33_554_432, maxConcurrentSteps: 3,
    });
  });

  test('with no version in common says 0, its own versions and nothing else', async () => {
    const { caller } = await serve({ tools: toolsOf(() => 1) });
    for (const protocolVersions of [[2, 3], []]) expect(await caller.handshake({ protocolVersions })).toMatchObject({ protocolVersion: 0, protocolVersions: [1], name: 'p', tools: [] });
  });

  test('a runtime that names no agents is one by its own name', async () => {
    const runtime = runtimeOf([], async () => response('hm'));
    const { caller } = await serve({ runtime: { ...runtime, handshake: async () => ({ name: 'native', version: '1', reasoningModes: ['react', 'tot'], agents: [] }) } });
    expect(await caller.handshake()).toMatchObject({ agents: [{ name: 'native', reasoningModes: ['react', 'tot'] }] });
    expect(await caller.step(thinkStep)).toMatchObject({ proposal: { thought: 'hm' } });
  });

  test('an offer that nobody would take is refused at the start', async () => {
    await expect(serve({ tools: toolsOf(() => 1, ['no spaces']) })).rejects.toThrow(/"no spaces" cannot be used/);
    await expect(serve({ tools: toolsOf(() => 1, ['t', 't']) })).rejects.toThrow(/two tools called "t"/);
  });
});

describe('a step', () => {
  test('a tool gets what was sent and its result comes back', async () => {
    const seen: unknown[] = [];
    const { caller } = await serve({ tools: toolsOf((invocation, { principal, secrets }) => (seen.push({ ...invocation, principal, secrets }), { echo: invocation.args })) });
    const answer = await caller.step({ ...toolStep, inputPayload: '{"q":"ü"}', tenantId: 'acme', stepNo: 4, principal: { userId: 'u', groups: ['g'], clearance: 3 }, ephemeralCredentials: { K: 'v' } });
    expect(answer).toMatchObject({ outputPayload: '{"echo":{"q":"ü"}}', error: undefined });
    expect(seen).toMatchObject([{ tool: 't', args: { q: 'ü' }, idempotencyKey: 'r:1', stepNo: 4, dryRun: false, principal: { tenantId: 'acme', userId: 'u', groups: ['g'], clearance: 3 }, secrets: { K: 'v' } }]);
  });

  test('a think streams its text, and the answer is the last event', async () => {
    const runtime = runtimeOf(['a'], async (_request, { onDelta }) => {
      for (const text of ['one ', '', 'two']) onDelta(text);
      return response('one two');
    });
    const { caller } = await serve({ runtime });
    const events = await caller.stream(thinkStep);
    expect(events.map(({ event }) => event?.$case)).toEqual(['delta', 'delta', 'response']);
    expect(events.at(-1)).toMatchObject({ event: { value: { proposal: { thought: 'one two' } } } });
    expect(await caller.step(thinkStep)).toMatchObject({ proposal: { thought: 'one two' } });
  });

  test('deltas that nobody reads in time are dropped, and the answer is not', async () => {
    const { caller } = await serve({ runtime: runtimeOf(['a'], async (_request, { onDelta }) => {
      for (let n = 0; n < 100_000; n += 1) onDelta('x'.repeat(100));
      return response('done');
    }) });
    const events = await caller.stream(thinkStep);
    expect(events.length).toBeLessThan(10_000);
    expect(events.at(-1)).toMatchObject({ event: { $case: 'response', value: { proposal: { thought: 'done' } } } });
  });

  test.each([
    ['an unknown tool', { ...toolStep, tool: 'other' }, ErrorCode.ERROR_CODE_INVALID_INPUT, /no tool "other"\. It has t/],
    ['a blocked tool', { ...toolStep, constraints: { blockedTools: ['t'] } }, ErrorCode.ERROR_CODE_CONSTRAINT_VIOLATED, /"t" is blocked/],
    ['arguments that are no JSON', { ...toolStep, inputPayload: '{' }, ErrorCode.ERROR_CODE_INVALID_INPUT, /input_payload is not JSON/],
    ['arguments that are no object', { ...toolStep, inputPayload: '[1]' }, ErrorCode.ERROR_CODE_INVALID_INPUT, /must be a JSON object/],
    ['an input that is no JSON', { ...thinkStep, inputPayload: 'hello', agent: { entrypoint: 'a' } }, ErrorCode.ERROR_CODE_INVALID_INPUT, /input_payload is not JSON/],
    ['an agent without an entrypoint among several', thinkStep, ErrorCode.ERROR_CODE_INVALID_INPUT, /names no entrypoint.*a, b/],
    ['an agent that is not hosted', { ...thinkStep, agent: { entrypoint: 'c' } }, ErrorCode.ERROR_CODE_INVALID_INPUT, /no agent "c".*a, b/],
    ['a reasoning mode that nobody knows', { ...thinkStep, agent: { entrypoint: 'a', reasoning: 'dreaming' } }, ErrorCode.ERROR_CODE_INVALID_INPUT, /agent\.reasoning is "dreaming".*react, cot, tot/],
    ['a journal that is no JSON', { ...thinkStep, agent: { entrypoint: 'a' }, journal: [{ no: 1, step: { $case: 'act' as const, value: { args: '{}', observation: '{' } } }] }, ErrorCode.ERROR_CODE_INVALID_INPUT, /journal\[1\]\.act\.observation is not JSON/],
  ])('%s is an error of the step that names the cure', async (_name, request, code, message) => {
    const { caller } = await serve({ tools: toolsOf(() => 1), runtime: runtimeOf(['a', 'b'], async () => response('')) });
    expect((await caller.step(request)).error).toMatchObject({ code, retryable: false, message: expect.stringMatching(message) });
  });

  test('a kind that this version does not know is refused as a call, with and without a stream', async () => {
    const { caller } = await serve({ tools: toolsOf(() => 1) });
    for (const kind of [StepKind.STEP_KIND_UNSPECIFIED, 9 as StepKind]) {
      await expect(caller.step({ ...toolStep, kind })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
      await expect(caller.stream({ ...toolStep, kind })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });

  test('a plugin of tools alone hosts no agents, and one of agents alone has no tools', async () => {
    const tools = await serve({ tools: toolsOf(() => 1) });
    expect((await tools.caller.step(thinkStep)).error?.message).toMatch(/hosts no agents/);
    const agents = await serve({ runtime: runtimeOf(['a'], async () => response('')) });
    expect((await agents.caller.step(toolStep)).error?.message).toMatch(/It has none/);
  });

  test('what a tool throws tells its code, its message and whether it may be tried again', async () => {
    const { caller } = await serve({ tools: toolsOf(({ args }) => {
      throw new PlatformError(args['code'] as never, 'why', args['safe'] === true ? { details: { [NOTHING_CHANGED]: true } } : {});
    }) });
    const thrown = async (args: object) => (await caller.step({ ...toolStep, inputPayload: JSON.stringify(args) })).error;
    expect(await thrown({ code: 'tool_failed' })).toEqual({ code: ErrorCode.ERROR_CODE_TOOL_FAILED, message: 'why', retryable: false });
    expect(await thrown({ code: 'tool_unavailable', safe: true })).toEqual({ code: ErrorCode.ERROR_CODE_TOOL_UNAVAILABLE, message: 'why', retryable: true });
    expect(await thrown({ code: 'tool_timeout' })).toEqual({ code: ErrorCode.ERROR_CODE_INTERNAL, message: 'why', retryable: false });
  });

  test('a result that cannot be written is an answer, and the plugin lives on', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const { caller } = await serve({ tools: toolsOf(({ args }) => (args['circle'] === true ? circle : args['big'] === true ? 1n : undefined)) });
    expect((await caller.step({ ...toolStep, inputPayload: '{"circle":true}' })).error?.code).toBe(ErrorCode.ERROR_CODE_INTERNAL);
    expect((await caller.step({ ...toolStep, inputPayload: '{"big":true}' })).error?.code).toBe(ErrorCode.ERROR_CODE_INTERNAL);
    expect((await caller.step(toolStep)).outputPayload).toBe('null');
  });

  test('a log that fails takes no step with it', async () => {
    const { caller } = await serve({ tools: toolsOf(() => Promise.reject(new Error('x'))), log: () => {
      throw new Error('the disk is full');
    } });
    expect((await caller.step(toolStep)).error?.code).toBe(ErrorCode.ERROR_CODE_INTERNAL);
  });

  test('secrets of the step are in no error and in no line of the log', async () => {
    const { caller, log } = await serve({ tools: toolsOf(({ args }, { secrets }) => {
      const text = `401 for https://api/?key=${secrets['KEY'] ?? ''} and ${secrets['KEY_2'] ?? ''}`;
      throw args['platform'] === true ? new PlatformError('tool_failed', text) : new Error(text);
    }) });
    const ephemeralCredentials = { KEY: 's3cr3t', KEY_2: 's3cr3t-and-more', EMPTY: '' };
    const failed = await caller.step({ ...toolStep, inputPayload: '{"platform":true}', ephemeralCredentials });
    expect(failed.error?.message).toBe('401 for https://api/?key=[secret] and [secret]');
    const broken = await caller.step({ ...toolStep, ephemeralCredentials });
    expect(broken.error).toMatchObject({ code: ErrorCode.ERROR_CODE_INTERNAL, message: expect.not.stringContaining('401') });
    expect(log).toMatchObject([{ level: 'error', run_id: 'r', reason: expect.stringContaining('key=[secret] and [secret]') }]);
    expect(JSON.stringify(log)).not.toContain('s3cr3t');
  });
});

describe('bounds', () => {
  test('a deadline and a cancellation reach the work, and nobody else’s', async () => {
    const begun = gate();
    const ended = gate();
    const reasons: string[] = [];
    const { caller } = await serve({ tools: toolsOf(async ({ args }, { signal }) => {
      if (args['quick'] === true) return 'quick';
      begun.open();
      await untilAborted(signal).catch(() => reasons.push(JSON.stringify(args['by'])));
      if (reasons.length === 2) ended.open();
      throw signal.reason;
    }) });
    await expect(caller.step({ ...toolStep, inputPayload: '{"by":"deadline"}' }, { deadline: Date.now() + 100 })).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await begun.passed;
    const { call, answer } = caller.startStep({ ...toolStep, inputPayload: '{"by":"cancel"}' });
    expect((await caller.step({ ...toolStep, inputPayload: '{"quick":true}' })).outputPayload).toBe('"quick"');
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: status.CANCELLED });
    await ended.passed;
    expect(reasons.sort()).toEqual(['"cancel"', '"deadline"']);
  });

  test('a peer that is gone cancels its steps', async () => {
    const begun = gate();
    const aborted = gate();
    const { caller, plugin } = await serve({ tools: toolsOf(async (_invocation, { signal }) => {
      signal.addEventListener('abort', aborted.open);
      begun.open();
      return untilAborted(signal);
    }) });
    const other = connectHttp2(`http://${plugin.address}`);
    const stream = other.request({ ':method': 'POST', ':path': RuntimeServiceService.executeStep.path, 'content-type': 'application/grpc', te: 'trailers' });
    stream.on('error', () => undefined);
    const message = RuntimeServiceService.executeStep.requestSerialize({ ...toolStep, agentId: '', traceContext: {}, ephemeralCredentials: {}, constraints: undefined, tenantId: '', stepNo: 1, principal: undefined, agent: undefined, tools: [], journal: [] });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
    await begun.passed;
    other.destroy();
    await aborted.passed;
    expect((await caller.health()).serving).toBe(true);
  });

  test('a flood gets so many steps as were said, and the rest may be tried again', async () => {
    const go = gate();
    const full = gate();
    let most = 0;
    let now = 0;
    const { caller } = await serve({ maxConcurrentSteps: 4, tools: toolsOf(async () => {
      now += 1;
      most = Math.max(most, now);
      if (now === 4) full.open();
      await go.passed;
      now -= 1;
      return 'done';
    }) });
    const answers = Promise.all(Array.from({ length: 300 }, () => caller.step(toolStep)));
    await full.passed;
    expect((await caller.step(toolStep)).error).toMatchObject({ code: ErrorCode.ERROR_CODE_OVERLOADED, retryable: true, message: expect.stringContaining('4 steps at once') });
    expect((await caller.health()).serving).toBe(true);
    go.open();
    const codes = (await answers).map(({ error }) => error?.code ?? 0);
    expect(most).toBe(4);
    expect(codes.filter((code) => code === 0).length).toBeGreaterThanOrEqual(4);
    expect(codes.every((code) => code === 0 || code === ErrorCode.ERROR_CODE_OVERLOADED)).toBe(true);
    expect((await caller.step(toolStep)).outputPayload).toBe('"done"');
  });

  test('a message that is too large is refused in either direction, and the connection lives on', async () => {
    const { caller } = await serve({ maxMessageBytes: 100_000, tools: toolsOf(({ args }) => 'x'.repeat(Number(args['bytes'] ?? 0))) });
    await expect(caller.step({ ...toolStep, inputPayload: JSON.stringify({ text: 'x'.repeat(200_000) }) })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    await expect(caller.step({ ...toolStep, inputPayload: '{"bytes":200000}' })).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await caller.step({ ...toolStep, inputPayload: '{"bytes":5}' })).outputPayload).toBe('"xxxxx"');
  });

  test('a journal of 20 MiB is received', async () => {
    const { caller } = await serve({ runtime: runtimeOf(['a'], async ({ journal }) => response(String(journal.length))) });
    const observation = JSON.stringify({ output: 'x'.repeat(1_000_000) });
    const journal = Array.from({ length: 20 }, (_, n) => ({ no: n + 1, step: { $case: 'act' as const, value: { args: '{}', observation, status: 'done' } } }));
    expect(await caller.step({ ...thinkStep, journal })).toMatchObject({ proposal: { thought: '20' } });
  });

  test('bytes that are no message are refused, and the plugin lives on', async () => {
    const { caller, plugin } = await serve({ tools: toolsOf(() => 1) });
    const Raw = makeClientConstructor({ step: { ...RuntimeServiceService.executeStep, requestSerialize: (bytes: Buffer) => bytes, responseDeserialize: (bytes: Buffer) => bytes } }, 'Raw');
    const raw = new Raw(plugin.address, credentials.createInsecure());
    opened.push(raw);
    for (const bytes of [Buffer.from('ff'.repeat(40), 'hex'), Buffer.from([0x0a, 0x7f, 0x01])]) {
      const error = await new Promise((resolve) => (raw as unknown as { step: (bytes: Buffer, done: (error: unknown) => void) => void }).step(bytes, resolve));
      expect(error).toMatchObject({ code: status.INTERNAL });
    }
    expect((await caller.step(toolStep)).outputPayload).toBe('1');
  });
});

describe('who may call', () => {
  test('with a token set, nothing but the probe answers without it', async () => {
    const { caller, plugin } = await serve({ token: 't0ken', tools: toolsOf(() => 1) });
    expect((await caller.step(toolStep)).outputPayload).toBe('1');
    for (const token of [undefined, 'wrong', 't0ken2', 't0ke', '']) {
      const other = connectPlugin(plugin.address, token === undefined ? {} : { token });
      opened.push(other);
      const refused = { code: status.UNAUTHENTICATED, details: expect.not.stringContaining('t0ken') };
      await expect(other.handshake()).rejects.toMatchObject(refused);
      await expect(other.health()).rejects.toMatchObject(refused);
      await expect(other.step(toolStep)).rejects.toMatchObject(refused);
      await expect(other.stream(toolStep)).rejects.toMatchObject(refused);
      expect(await other.probe()).toBe(1);
    }
  });

  test('plain text beyond loopback is refused', async () => {
    await expect(serve({ tools: toolsOf(() => 1), listen: '0.0.0.0:0' })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('OPENEAAP_PLUGIN_TLS_CERT') });
  });

  test('with a certificate it speaks TLS, and with an authority it wants one from the client', async () => {
    const { ca, server, client } = await makeCertificates();
    const [root, key, cert] = [Buffer.from(ca), Buffer.from(client.key), Buffer.from(client.cert)];
    const call = async (address: string, channel: ReturnType<typeof credentials.createSsl>): Promise<unknown> => {
      const caller = connectPlugin(address, { credentials: channel });
      opened.push(caller);
      return caller.step(toolStep, { deadline: Date.now() + 5_000 });
    };
    const oneWay = await serve({ tools: toolsOf(() => 1), tls: { ...server, clientCa: null } });
    expect(await call(oneWay.plugin.address, credentials.createSsl(root))).toMatchObject({ outputPayload: '1' });
    await expect(call(oneWay.plugin.address, credentials.createSsl())).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await expect(call(oneWay.plugin.address, credentials.createInsecure())).rejects.toMatchObject({ code: status.UNAVAILABLE });
    const bothWays = await serve({ tools: toolsOf(() => 1), tls: { ...server, clientCa: ca } });
    expect(await call(bothWays.plugin.address, credentials.createSsl(root, key, cert))).toMatchObject({ outputPayload: '1' });
    await expect(call(bothWays.plugin.address, credentials.createSsl(root))).rejects.toMatchObject({ code: status.UNAVAILABLE });
    const stranger = await makeCertificates();
    await expect(call(bothWays.plugin.address, credentials.createSsl(root, Buffer.from(stranger.client.key), Buffer.from(stranger.client.cert)))).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  test('a certificate that is none is refused at the start', async () => {
    const { server, client } = await makeCertificates();
    for (const tls of [{ cert: 'x', key: 'y', clientCa: null }, { cert: server.cert, key: client.key, clientCa: null }]) {
      await expect(serve({ tools: toolsOf(() => 1), tls })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('TLS certificate or key') });
    }
  });
});

describe('health', () => {
  test('is that of its parts, by both protocols', async () => {
    let isWell = true;
    const tools: ToolAdapter = { ...toolsOf(() => 1), healthCheck: async () => (isWell ? { serving: true, detail: 'well' } : { serving: false, detail: 'the product is down' }) };
    const { caller } = await serve({ tools, runtime: runtimeOf(['a'], async () => response('')) });
    expect(await caller.health()).toEqual({ serving: true, detail: 'well' });
    expect(await caller.probe()).toBe(1);
    await expect(caller.probe('other')).rejects.toMatchObject({ code: status.NOT_FOUND });
    isWell = false;
    expect(await caller.health()).toEqual({ serving: false, detail: 'the product is down' });
    expect(await caller.probe()).toBe(2);
  });

  test('a check that breaks is not serving, without its inner words', async () => {
    const { caller } = await serve({ tools: { ...toolsOf(() => 1), healthCheck: () => Promise.reject(new Error('password=x')) } });
    expect(await caller.health()).toEqual({ serving: false, detail: 'Something unexpected happened inside the platform.' });
  });
});

describe('the end', () => {
  test('steps under way are finished, new ones are not begun', async () => {
    const go = gate();
    const begun = gate();
    const { caller, plugin } = await serve({ tools: toolsOf(async () => (begun.open(), await go.passed, 'finished')) });
    const underWay = caller.step(toolStep);
    await begun.passed;
    const closed = plugin.close(5_000);
    // It does not listen any more; a step that came in before that is refused with OVERLOADED.
    await expect(caller.step(toolStep, { deadline: Date.now() + 3_000 })).rejects.toMatchObject({ code: status.UNAVAILABLE });
    go.open();
    expect((await underWay).outputPayload).toBe('"finished"');
    await closed;
  });

  test('steps that do not end in their grace are aborted', async () => {
    const begun = gate();
    let aborted = false;
    const { caller, plugin } = await serve({ tools: toolsOf(async (_invocation, { signal }) => {
      signal.addEventListener('abort', () => (aborted = true));
      begun.open();
      return untilAborted(signal);
    }) });
    const answer = caller.step(toolStep);
    await begun.passed;
    await plugin.close(50);
    expect(aborted).toBe(true);
    expect((await answer).error).toMatchObject({ code: ErrorCode.ERROR_CODE_CANCELLED });
  });

  test('steps that heed nothing hold it no longer than that', async () => {
    const begun = gate();
    const { caller, plugin } = await serve({ tools: toolsOf(() => (begun.open(), new Promise(() => undefined))) });
    const answer = caller.step(toolStep).catch((error: unknown) => error);
    await begun.passed;
    await plugin.close(20);
    expect(await answer).toMatchObject({ code: expect.any(Number) });
  });
});

describe('the address', () => {
  test('a Unix socket is served, taken over from the dead, left to the living and removed at the end', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'plugin-'));
    opened.push({ close: () => rm(folder, { recursive: true }) });
    const socket = path.join(folder, 'p.sock');
    const listen = `unix:${socket}`;
    const living = createServer();
    await new Promise<void>((resolve) => living.listen(socket, resolve));
    await expect(serve({ tools: toolsOf(() => 1), listen })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(listen) });
    await new Promise((resolve) => living.close(resolve));
    const { caller, plugin } = await serve({ tools: toolsOf(() => 1), listen });
    expect(plugin.address).toBe(listen);
    expect((await caller.step(toolStep)).outputPayload).toBe('1');
    await plugin.close(1_000);
    expect(existsSync(socket)).toBe(false);
  });

  test('one that is taken is named', async () => {
    const { plugin } = await serve({ tools: toolsOf(() => 1) });
    expect(plugin.address).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
    await expect(serve({ tools: toolsOf(() => 1), listen: plugin.address })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(plugin.address) });
  });
});
