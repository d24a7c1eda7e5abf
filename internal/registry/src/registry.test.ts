import type { ToolAdapter, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import type { JsonValue, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import type { Plugin } from './registry.ts';
import { createRegistry } from './registry.ts';

const SPEC: ToolSpec = {
  name: 'block',
  version: '1',
  description: '',
  inputSchema: { type: 'object', properties: { ip: { type: 'string', format: 'ipv4' }, level: { enum: ['low', 'high'] } }, required: ['ip'], additionalProperties: false },
  effect: 'destructive',
  idempotent: false,
  timeoutMs: 50,
  secrets: ['FIREWALL_KEY'],
};

type Call = (invocation: ToolInvocation, context: ToolContext) => Promise<ToolOutcome>;

const pack = (name: string, specs: readonly ToolSpec[], call: Call = async () => ({ output: 'ok' })): Plugin => ({
  kind: 'tools',
  name,
  adapter: { handshake: async () => ({ name, version: '1', tools: specs }), call, healthCheck: async () => ({ serving: true, detail: 'fine' }) } satisfies ToolAdapter,
});

const open = (call?: Call, spec: Partial<ToolSpec> = {}) =>
  createRegistry({ plugins: [pack('p', [{ ...SPEC, ...spec }], call)], secret: (name) => ({ FIREWALL_KEY: 'k1', OTHER: 'k2' })[name] });

const INVOCATION: ToolInvocation = { tool: 'block', args: { ip: '1.2.3.4' }, idempotencyKey: 'r:1', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false };
const CONTEXT = { signal: new AbortController().signal, principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 as const }, traceContext: {} };
const never = (): Promise<never> => new Promise(() => undefined);

describe('registry', () => {
  test('two plugins with one tool name are refused, and the error names both', async () => {
    await expect(createRegistry({ plugins: [pack('a', [SPEC]), pack('b', [SPEC])], secret: () => undefined })).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/"a" and "b".*"block"/) });
  });

  test('a schema that is no JSON Schema is refused when the plugin is loaded', async () => {
    await expect(open(undefined, { inputSchema: { type: 'nonsense' } })).rejects.toMatchObject({ code: 'invalid_input', details: { tool: 'block' } });
  });

  test.each<[string, JsonValue, RegExp]>([
    ['a missing field', {}, /"ip" is missing/],
    ['an unknown field', { ip: '1.2.3.4', port: 1 }, /must not have "port"/],
    ['a wrong format', { ip: '1.2.3' }, /ip must match format "ipv4"/],
    ['a value outside of an enumeration', { ip: '1.2.3.4', level: 'x' }, /level must be one of \["low","high"\]/],
    ['something that is no object', 'x', /must be object/],
  ])('%s: the model is told in words', async (_name, args, expected) => {
    expect((await open()).validate('block', args)).toMatch(expected);
  });

  test('valid arguments pass', async () => {
    expect((await open()).validate('block', { ip: '1.2.3.4', level: 'high' })).toBeNull();
  });

  test('a call gets the secrets that its spec names and no others', async () => {
    let seen: unknown;
    const registry = await open(async (_invocation, context) => {
      seen = context.secrets;
      return { output: null };
    });
    await registry.call(INVOCATION, CONTEXT);
    expect(seen).toEqual({ FIREWALL_KEY: 'k1' });
  });

  test('a tool that hangs and ignores its signal is left after its timeout', async () => {
    await expect((await open(never)).call(INVOCATION, CONTEXT)).rejects.toMatchObject({ code: 'tool_timeout', message: expect.stringContaining('50 ms') });
  });

  test('a call that is stopped from outside says so, also when the tool hangs', async () => {
    const stop = new AbortController();
    const call = (await open(never, { timeoutMs: 60_000 })).call(INVOCATION, { ...CONTEXT, signal: stop.signal });
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('a result of 1 MB is cut, and says how large it was', async () => {
    const { output } = await (await open(async () => ({ output: { text: 'ü'.repeat(1_000_000) } }))).call(INVOCATION, CONTEXT);
    expect(output).toMatchObject({ truncated: true, limit_bytes: LIMITS.toolResultBytes });
    expect(Buffer.byteLength(JSON.stringify(output))).toBeLessThanOrEqual(LIMITS.toolResultBytes);
  });

  test('a tool that breaks off leaves the outcome of an effect unknown, and a read failed', async () => {
    const broken: Call = () => Promise.reject(new TypeError('x is undefined'));
    await expect((await open(broken)).call(INVOCATION, CONTEXT)).rejects.toMatchObject({ code: 'internal' });
    await expect((await open(broken, { effect: 'read' })).call(INVOCATION, CONTEXT)).rejects.toMatchObject({ code: 'tool_failed' });
    const said: Call = () => Promise.reject(new PlatformError('tool_failed', 'refused by the firewall'));
    await expect((await open(said)).call(INVOCATION, CONTEXT)).rejects.toMatchObject({ code: 'tool_failed', message: 'refused by the firewall' });
  });

  test('a plugin that cannot say how it is counts as down', async () => {
    const plugin = pack('p', [SPEC]);
    const sick = { ...plugin, adapter: { ...plugin.adapter, healthCheck: () => Promise.reject(new Error('gone')) } } as Plugin;
    const registry = await createRegistry({ plugins: [sick], secret: () => undefined });
    expect(await registry.listPlugins()).toMatchObject([{ name: 'p', status: 'down' }]);
  });
});
