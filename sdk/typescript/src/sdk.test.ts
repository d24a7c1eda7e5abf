import { readFileSync } from 'node:fs';
import { Type } from 'typebox';
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import type { ActStep, ThinkStep } from '@openeaap/kernel';
import { AGENT_DEFAULTS, NO_CONSTRAINTS, NO_USAGE } from '@openeaap/kernel';
import type { AgentRequest } from './index.ts';
import { ModelUnavailable, SDK_VERSION, ToolError, ToolUnavailable, agent, call, calls, finish, reflect, serve, tool } from './index.ts';
import type { Control } from './testing/serve-for-test.ts';
import { serveForTest } from './testing/serve-for-test.ts';

const served: Control[] = [];
afterEach(async () => {
  for (const control of served.splice(0)) await control.close();
});
async function control(...args: Parameters<typeof serveForTest>): Promise<Control> {
  const made = await serveForTest(...args);
  served.push(made);
  return made;
}

describe('the arguments of a tool', () => {
  test('have the types of a JSON Schema, and arrive as they are', async () => {
    const add = tool({
      name: 'add',
      description: 'Adds.',
      input: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'number' }, unit: { enum: ['kg', 'm'] }, tags: { type: 'array', items: { type: 'string' } } }, required: ['a', 'b'] },
      effect: 'read',
      run: (args) => {
        expectTypeOf(args.a).toEqualTypeOf<number>();
        expectTypeOf(args.unit).toEqualTypeOf<'kg' | 'm' | undefined>();
        expectTypeOf(args.tags).toEqualTypeOf<readonly string[] | undefined>();
        return { sum: args.a + args.b };
      },
    });
    const { call, handshake } = await control({ tools: [add] });
    expect(await call('add', { a: 1, b: 2.5 })).toEqual({ output: { sum: 3.5 } });
    const { tools } = await handshake();
    expect(tools).toMatchObject([{ name: 'add', description: 'Adds.', version: '1.2.3', effect: 1, timeoutMs: 30_000, idempotent: false }]);
    expect(JSON.parse(tools[0]?.inputSchema ?? '')).toMatchObject({ type: 'object', required: ['a', 'b'] });
  });

  test('of TypeBox have its types, and its schema goes out as plain JSON', async () => {
    const find = tool({
      name: 'find',
      description: '',
      input: Type.Object({ q: Type.String(), limit: Type.Optional(Type.Integer()) }),
      run: (args) => {
        expectTypeOf(args.q).toEqualTypeOf<string>();
        expectTypeOf(args.limit).toEqualTypeOf<number | undefined>();
        return args;
      },
    });
    expect(find.spec.inputSchema).toEqual({ type: 'object', properties: { q: { type: 'string' }, limit: { type: 'integer' } }, required: ['q'] });
    const { call } = await control({ tools: [find] });
    expect(await call('find', { q: 'x' })).toEqual({ output: { q: 'x' } });
  });

  test('of zod are parsed into what its schema makes of them; what it refuses is told by name', async () => {
    const remind = tool({
      name: 'remind',
      description: '',
      input: z.object({ at: z.iso.datetime().transform((text) => new Date(text)), note: z.string().min(2).default('none') }),
      run: ({ at, note }) => {
        expectTypeOf(at).toEqualTypeOf<Date>();
        return { year: at.getUTCFullYear(), note };
      },
    });
    expect(remind.spec.inputSchema).toMatchObject({ type: 'object', properties: { at: { type: 'string' }, note: { default: 'none' } } });
    const { call } = await control({ tools: [remind] });
    expect(await call('remind', { at: '2026-01-02T03:04:05Z' })).toEqual({ output: { year: 2026, note: 'none' } });
    await expect(call('remind', { at: '2026-01-02T03:04:05Z', note: 'x' })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(/^The arguments are wrong: note: /) });
  });

  test('are none when there is no schema', async () => {
    const ping = tool({ name: 'ping', description: '', run: () => 'pong' });
    expect(ping.spec.inputSchema).toEqual({ type: 'object', properties: {}, additionalProperties: false });
    expect(await (await control({ tools: [ping] })).call('ping')).toEqual({ output: 'pong' });
  });

  test.each([
    ['no object', { type: 'string' }, /^Tool "t": The input schema must describe an object/],
    ['a zod string', z.string(), /must describe an object/],
    ['what JSON Schema cannot say', z.object({ f: z.bigint() }), /^Tool "t": The input schema has a part that JSON Schema cannot say/],
    ['a library that cannot say it', { '~standard': { version: 1, vendor: 'old', validate: () => ({ value: 1 }) } }, /of old cannot say itself as JSON Schema.*zod 4\.2/],
  ])('a schema of %s is refused with the cure', (_name, input, message) => {
    expect(() => tool({ name: 't', description: '', input, run: () => null })).toThrow(message);
  });
});

describe('a call', () => {
  const ANY = { type: 'object' } as const;

  test('is told on whose behalf, with its key, its secrets and nothing else', async () => {
    const seen: unknown[] = [];
    const { call } = await control({ tools: [tool({ name: 't', description: '', secrets: ['KEY'], run: (_args, context) => void seen.push({ ...context, signal: context.signal.aborted, addLineage: typeof context.addLineage }) })] });
    expect(await call('t', {}, { secrets: { KEY: 'v' } })).toEqual({ output: null });
    expect(seen).toEqual([{
      signal: false, principal: { tenantId: 't', userId: 'u', groups: ['g'], clearance: 2 }, secrets: { KEY: 'v' }, idempotencyKey: 'r:2', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false, traceContext: { traceparent: '00-x' }, addLineage: 'function',
    }]);
  });

  test('says where its result comes from', async () => {
    const ref = { chunkId: 'c', title: 't', source: 's', score: 0.5 };
    const { call } = await control({ tools: [tool({ name: 't', description: '', run: (_args, { addLineage }) => (addLineage(ref), 'x') })] });
    expect(await call('t')).toEqual({ output: 'x', lineage: [ref] });
  });

  test.each([
    [new ToolError('no such host'), { code: 'tool_failed', message: 'no such host' }, ''],
    [new ToolUnavailable('down'), { code: 'tool_unavailable', message: 'down', details: {} }, ''],
    [new ToolUnavailable('down', { nothingChanged: true }), { code: 'tool_unavailable', message: 'down', details: { nothing_changed: true } }, ''],
    [new Error('at db:5432 password=x'), { code: 'internal', message: 'The tool "t" broke off unexpectedly. The log of the plugin says why.' }, 'password=x'],
    ['a text', { code: 'internal', message: expect.stringContaining('broke off') }, 'a text'],
  ])('that throws %s is told as it should be', async (thrown, told, logged) => {
    const { call, log } = await control({ tools: [tool({ name: 't', description: '', run: () => Promise.reject(thrown as Error) })] });
    await expect(call('t')).rejects.toMatchObject(told);
    const errors = log.filter(({ level }) => level === 'error');
    expect(errors.length).toBe(logged === '' ? 0 : 1);
    expect(JSON.stringify(errors)).toContain(logged);
  });

  test.each([
    ['a bigint', 1n],
    ['a function', () => 1],
    ['a circle', (() => { const a: unknown[] = []; a.push(a); return a; })()],
  ])('that returns %s is an error, and the log says what was returned', async (_name, value) => {
    const { call, log } = await control({ tools: [tool({ name: 't', description: '', run: () => value })] });
    await expect(call('t')).rejects.toMatchObject({ code: 'internal' });
    expect(JSON.stringify(log)).toMatch(/The result of the tool \\"t\\" is/);
  });

  test('without a secret that it needs is not made', async () => {
    let made = false;
    const { call } = await control({ tools: [tool({ name: 't', description: '', secrets: ['KEY'], run: () => (made = true) })] });
    for (const secrets of [{}, { KEY: '' }]) await expect(call('t', {}, { secrets })).rejects.toMatchObject({ code: 'tool_failed', message: expect.stringContaining('KEY') });
    expect(made).toBe(false);
  });

  test('in a dry run does nothing: a read reads, an effect is described or refused', async () => {
    const done: string[] = [];
    const run = (name: string) => () => (done.push(name), 'did');
    const { call } = await control({ tools: [
      tool({ name: 'reads', description: '', input: ANY, effect: 'read', run: run('reads') }),
      tool({ name: 'blocks', description: '', input: ANY, effect: 'destructive', run: run('blocks'), dryRun: (args) => ({ would: args }) }),
      tool({ name: 'writes', description: '', input: ANY, run: run('writes') }),
    ] });
    expect(await call('reads', {}, { dryRun: true })).toEqual({ output: 'did' });
    expect(await call('blocks', { ip: 'x' }, { dryRun: true })).toEqual({ output: { would: { ip: 'x' } } });
    await expect(call('writes', {}, { dryRun: true })).rejects.toMatchObject({ code: 'policy_denied', message: expect.stringContaining('dry run') });
    expect(done).toEqual(['reads']);
  });
});

describe('an agent', () => {
  const AT = new Date(0);
  const base = { policyVersion: '', agentVersion: '', startedAt: AT, finishedAt: AT };
  const aThink = (no: number, rest: Partial<ThinkStep>): ThinkStep => ({ ...base, kind: 'think', no, id: `s${no}`, usage: NO_USAGE, model: '', strategyState: null, reportedByRuntime: [], status: 'done', proposal: null, error: null, decision: { effect: 'allow', constraints: NO_CONSTRAINTS, reservations: [], rule: '', reason: '', policyVersion: '' }, ...rest });
  const anAct = (no: number, rest: Partial<ActStep>): ActStep => ({ ...base, kind: 'act', no, id: `s${no}`, thinkNo: 1, callId: 'c', tool: 't', args: {}, decision: null, approvalId: null, status: 'done', attempts: 1, lineage: [], result: null, suspicious: false, error: null, ...rest });

  test('sees the run as it is: input, journal, state, tools, settings, model', async () => {
    const seen: AgentRequest[] = [];
    const models: unknown[] = [];
    const { think } = await control({ agents: [agent({ name: 'a', think: (request, { model }) => (seen.push(request), models.push(model), finish('done')) })] });
    const journal = [
      aThink(1, { proposal: { thought: 'hm', calls: [{ id: 'c', tool: 't', args: { q: 1 } }], output: null }, strategyState: { n: 1 } }),
      anAct(2, { args: { q: 2 }, result: { found: 1 } }),
      anAct(3, { status: 'rejected', error: { code: 'approval_rejected', message: 'no' } }),
      aThink(4, { status: 'failed', error: { code: 'model_invalid_output', message: 'nonsense' } }),
    ];
    await think({ journal, stepNo: 5, input: { alert: 1 }, agent: { ...AGENT_DEFAULTS, settings: { depth: 2 }, systemPrompt: 'Be brief.' }, ephemeralCredentials: { OPENEAAP_GATEWAY_URL: 'http://g/v1', OPENEAAP_MODEL_TOKEN: 'tok' } });
    expect(models).toEqual([{ url: 'http://g/v1', token: 'tok' }]);
    expect(seen).toMatchObject([{ input: { alert: 1 }, state: { n: 1 }, stepNo: 5, agent: { name: 'triage', settings: { depth: 2 }, systemPrompt: 'Be brief.' } }]);
    expect(seen[0]?.journal).toEqual([
      { kind: 'think', no: 1, proposal: { thought: 'hm', calls: [{ id: 'c', tool: 't', args: { q: 1 } }], output: null }, error: null, state: { n: 1 } },
      { kind: 'act', no: 2, callId: 'c', tool: 't', args: { q: 2 }, status: 'done', observation: { output: { found: 1 } }, thinkNo: 1 },
      { kind: 'act', no: 3, callId: 'c', tool: 't', args: {}, status: 'rejected', observation: { error: { code: 'approval_rejected', message: 'no' } }, thinkNo: 1 },
      { kind: 'think', no: 4, proposal: null, error: { code: 'model_invalid_output', message: 'nonsense' }, state: null },
    ]);
  });

  test('decides: one call, several, an output, or a thought; with a state and what it cost', async () => {
    const decisions = { one: call('t', { a: 1 }, { thought: 'why', state: [1] }), several: calls([{ tool: 'x' }, { tool: 'y', args: { b: 2 }, id: 'mine' }]), end: finish({ ok: true }), think: reflect('hm', { state: 2 }) };
    const { think } = await control({ agents: [agent({ name: 'a', think: ({ input }, { emit, reportUsage, model }) => {
      emit('so ');
      reportUsage({ model: 'm', promptTokens: 3 });
      reportUsage({ completionTokens: 2 });
      expect(model).toBeNull();
      return decisions[input as keyof typeof decisions];
    } })] });
    expect(await think({ input: 'one', stepNo: 4 })).toMatchObject({ proposal: { thought: 'why', calls: [{ id: 'call_4_1', tool: 't', args: { a: 1 } }], output: null }, strategyState: [1], deltas: ['so '], metadata: { backend: 'm', usage: { promptTokens: 3, completionTokens: 2 } } });
    expect((await think({ input: 'several' })).proposal.calls).toEqual([{ id: 'call_1_1', tool: 'x', args: {} }, { id: 'mine', tool: 'y', args: { b: 2 } }]);
    expect((await think({ input: 'end' })).proposal).toEqual({ thought: '', calls: [], output: { ok: true } });
    expect(await think({ input: 'think' })).toMatchObject({ proposal: { thought: 'hm', calls: [], output: null }, strategyState: 2 });
  });

  test('that errs says so', async () => {
    const errors: Record<string, () => never | undefined> = {
      away: () => { throw new ModelUnavailable('away'); },
      bug: () => { throw new TypeError('x is undefined'); },
    };
    const { think } = await control({ agents: [agent({ name: 'a', think: ({ input }) => (input === 'nothing' ? (undefined as never) : input === 'null' ? finish(null) : errors[input as string]?.() ?? reflect('')) })] });
    await expect(think({ input: 'away' })).rejects.toMatchObject({ code: 'model_unavailable', message: 'away' });
    await expect(think({ input: 'bug' })).rejects.toMatchObject({ code: 'internal', message: expect.not.stringContaining('undefined') });
    await expect(think({ input: 'nothing' })).rejects.toMatchObject({ code: 'internal' });
    await expect(think({ input: 'null' })).rejects.toMatchObject({ code: 'model_invalid_output', message: expect.stringContaining('null') });
  });

  test('that proposes what is no call is told to its author', async () => {
    const { think, log } = await control({ agents: [agent({ name: 'a', think: ({ input }, { emit }) => (input === 'emit' ? (emit(7 as never), finish(1)) : calls([{ tool: 7 as never }])) })] });
    for (const input of ['emit', 'call']) await expect(think({ input })).rejects.toMatchObject({ code: 'internal' });
    expect(JSON.stringify(log)).toMatch(/emit takes text.*whose tool or id is no text/);
  });

  test('is picked by the entrypoint', async () => {
    const { think, handshake } = await control({ agents: ['a', 'b'].map((name) => agent({ name, think: () => finish(name) })) });
    expect((await handshake()).agents.map(({ name }) => name)).toEqual(['a', 'b']);
    expect((await think({ agent: { ...AGENT_DEFAULTS, entrypoint: 'b' } })).proposal.output).toBe('b');
    await expect(think()).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining('a, b') });
  });
});

describe('serve', () => {
  const ping = tool({ name: 'ping', description: '', run: () => 1 });

  test('announces itself in one line and ends when it is told to', async () => {
    const { output, stop, ended, handshake } = await control({ tools: [ping] });
    expect(output).toHaveLength(1);
    expect(JSON.parse(output[0] ?? '')).toEqual({ openeaap_plugin: 1, listen: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    expect(await handshake()).toMatchObject({ name: 'test', version: '1.2.3', sdk: { language: 'typescript', version: SDK_VERSION } });
    stop();
    await ended;
    await expect(handshake()).rejects.toMatchObject({ code: 14 });
  });

  test('refuses nothing, and names and settings that cannot be', async () => {
    const host = (environment: Record<string, string>) => ({ environment, writeOutput: () => { throw new Error('announced'); }, writeError: () => undefined, onStop: () => () => undefined, end: () => undefined });
    await expect(serve({ name: 'x', version: '1', process: host({}) })).rejects.toThrow(/nothing to serve/);
    await expect(serve({ name: 'x', version: '1', tools: [ping, ping], process: host({ OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }) })).rejects.toThrow(/two tools called "ping"/);
    await expect(serve({ name: 'x', version: '1', tools: [ping], process: host({ OPENEAAP_PLUGIN_LISTEN: '0.0.0.0:0' }) })).rejects.toThrow(/OPENEAAP_PLUGIN_TLS_CERT/);
  });

  test('tells the version that is published', () => {
    expect(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).toMatchObject({ version: SDK_VERSION });
  });
});
