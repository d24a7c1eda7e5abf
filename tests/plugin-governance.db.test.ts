import { afterEach, describe, expect, test } from 'vitest';
import type { RuntimeAdapter, ServedPlugin, ThinkRequest, ThinkResponse, ToolInvocation } from '@openeaap/adapter';
import { servePlugin } from '@openeaap/adapter';
import type { AgentConfiguration, JsonValue, Proposal, ToolSpec } from '@openeaap/kernel';
import { NO_CONSTRAINTS, NO_USAGE } from '@openeaap/kernel';
import { allow, deny, gateTools } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { BOB, call, createWorld } from './harness/world.ts';

/**
 * Whatever a plugin in another process does, the control plane holds: each test plays a runtime or a tool that does not
 * keep what GovernanceConstraints asks of it, over real gRPC.
 */
const served: ServedPlugin[] = [];
let world: World | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
  for (const plugin of served.splice(0)) await plugin.close(0);
});

type Rogue = (request: ThinkRequest, no: number) => Partial<ThinkResponse> & { readonly proposal: Proposal };

const SPEC: ToolSpec = { name: 'remote_block', version: '1', description: 'Blocks.', inputSchema: { type: 'object', properties: { ip: { type: 'string' } } }, effect: 'destructive', idempotent: false, timeoutMs: 500 };
const SDK = { language: 'test', version: '0' };

interface Served {
  readonly world: World;
  readonly thinks: ThinkRequest[];
  readonly calls: ToolInvocation[];
  /** The plugin with the tool, in a process of its own for all that the platform knows. */
  readonly hand: ServedPlugin;
}

/** A plugin that thinks as `rogue` says and has one destructive tool, behind a platform whose agent it hosts. */
async function open(rogue: Rogue, configuration: Partial<AgentConfiguration> = {}): Promise<Served> {
  const thinks: ThinkRequest[] = [];
  const toolCalls: ToolInvocation[] = [];
  const runtime: RuntimeAdapter = {
    handshake: async () => ({ name: 'rogue', version: '1', reasoningModes: [], agents: [{ name: 'rogue', description: '', reasoningModes: [] }] }),
    healthCheck: async () => ({ serving: true, detail: '' }),
    executeStep: async (request) => {
      thinks.push(request);
      return { strategyState: null, auditLogs: [], metadata: { usage: NO_USAGE, backend: '' }, ...rogue(request, thinks.length) };
    },
  };
  const plugin = await servePlugin({
    name: 'rogue', version: '1', sdk: SDK, listen: '127.0.0.1:0', runtime, log: () => undefined });
  const hand = await servePlugin({
    name: 'hand', version: '1', sdk: SDK, listen: '127.0.0.1:0', log: () => undefined,
    tools: { handshake: async () => ({ name: 'rogue', version: '1', tools: [SPEC] }), healthCheck: async () => ({ serving: true, detail: '' }), call: async (invocation) => { toolCalls.push(invocation); return { output: { blocked: true } }; } },
  });
  served.push(plugin, hand);
  world = await createWorld({ plugins: [{ name: 'rogue', type: 'runtime-worker', address: plugin.address }, { name: 'hand', type: 'runtime-worker', address: hand.address }], configuration: { runtime: 'rogue', tools: ['remote_block', 'look_up', 'block_ip'], ...configuration } });
  return { world, thinks, calls: toolCalls, hand };
}

async function run(opened: Served): Promise<string> {
  const runId = await opened.world.accept();
  await (await opened.world.node()).work();
  return runId;
}

const answer = (output: JsonValue): Proposal => ({ thought: '', calls: [], output });
const propose = (...list: Proposal['calls']): { readonly proposal: Proposal } => ({ proposal: { thought: '', calls: list, output: null } });
const once = (first: { readonly proposal: Proposal }): Rogue => (_request, no) => (no === 1 ? first : { proposal: answer('finished') });

describe('a runtime that does not keep its constraints gets nowhere', () => {
  test('a blocked tool that it proposes all the same is not called', async () => {
    const opened = await open(once(propose(call('remote_block', { ip: '10.0.0.1' }))));
    opened.world.policy.decide = (request) => (request.kind === 'think' ? allow({ constraints: { ...NO_CONSTRAINTS, blockedTools: ['remote_block'] } }) : allow());
    const runId = await run(opened);
    expect(opened.thinks[0]?.constraints.blockedTools).toEqual(['remote_block']);
    expect(opened.thinks[0]?.tools.map(({ name }) => name)).toEqual(['look_up', 'block_ip']);
    expect(opened.calls).toEqual([]);
    expect((await opened.world.steps(runId))[1]).toMatchObject({ tool: 'remote_block', status: 'invalid', error: { message: expect.stringContaining('blocked by policy') } });
  });

  test('a tool that the agent does not have cannot be proposed', async () => {
    const opened = await open(once(propose(call('wipe_host', { host: 'h' }))));
    const runId = await run(opened);
    expect((await opened.world.steps(runId))[1]).toMatchObject({ tool: 'wipe_host', status: 'invalid' });
    expect(opened.world.tools.calls).toEqual([]);
  });

  test('in a dry run nothing that it proposes is done', async () => {
    const opened = await open(once(propose(call('remote_block', { ip: '10.0.0.1' }))));
    opened.world.policy.decide = (request) => (request.kind === 'think' ? allow({ constraints: { ...NO_CONSTRAINTS, dryRun: true } }) : allow());
    const runId = await run(opened);
    expect(opened.thinks[0]?.constraints.dryRun).toBe(true);
    expect(opened.calls).toEqual([]);
    expect((await opened.world.steps(runId))[1]).toMatchObject({ status: 'dry_run' });
  });

  test('what it says that it did by itself is kept as its claim, and is neither an act nor an audited call', async () => {
    const lie = { id: 'c1', tool: 'block_ip', input_payload: '{"ip":"8.8.8.8"}', output_payload: '{"blocked":true}', status: 'done', started_at_unix_ms: 1, duration_ms: 1 };
    const opened = await open(() => ({ proposal: answer('I have blocked 8.8.8.8 myself'), auditLogs: [lie] }));
    const runId = await run(opened);
    const [think, ...rest] = await opened.world.steps(runId);
    expect(think).toMatchObject({ kind: 'think', reportedByRuntime: [{ tool: 'block_ip', status: 'done' }] });
    expect(rest).toEqual([]);
    expect((await opened.world.audit(runId)).filter(({ action_type: action }) => action === 'tool_call')).toEqual([]);
    expect(opened.world.tools.calls).toEqual([]);
  });

  test('the tokens that it claims to have used are not believed', async () => {
    const opened = await open(() => ({ proposal: answer('x'), metadata: { usage: { promptTokens: 9_999_999, completionTokens: 9_999_999, costUsdMicros: 0 }, backend: 'the best' } }));
    expect((await opened.world.run(await run(opened))).usage).toMatchObject({ promptTokens: 0, completionTokens: 0 });
  });

  test('the credential of the step is nowhere in what is stored, whatever it returns', async () => {
    const opened = await open((request, no) => {
      const token = Object.values(request.ephemeralCredentials)[0] ?? '';
      const leak = { strategyState: { token }, auditLogs: [{ id: token, tool: 'x', input_payload: JSON.stringify({ token }), output_payload: '', status: 'done', started_at_unix_ms: 0, duration_ms: 0 }] };
      return no === 1 ? { ...leak, proposal: { thought: token, calls: [call('look_up', { token })], output: null } } : { ...leak, proposal: answer(`the token is ${token}`) };
    });
    const runId = await run(opened);
    expect(opened.thinks[0]?.ephemeralCredentials).toEqual({ OPENEAAP_MODEL_TOKEN: 'step-token' });
    const stored = JSON.stringify([await opened.world.run(runId), await opened.world.steps(runId), await opened.world.events(runId), await opened.world.audit(runId), opened.world.logged]);
    expect(stored).not.toContain('step-token');
    expect(stored).toContain('[secret OPENEAAP_MODEL_TOKEN]');
  });

  test.each<[string, Proposal]>([
    ['calls and an output at once', { thought: '', calls: [call('look_up')], output: 'done' }],
    ['two calls with one id', { thought: '', calls: [{ ...call('look_up'), id: 'same' }, { ...call('look_up'), id: 'same' }], output: null }],
    ['more calls than a think may have', { thought: '', calls: Array.from({ length: 17 }, (_, n) => ({ ...call('look_up'), id: `c${n}` })), output: null }],
    ['nothing at all', { thought: '', calls: [], output: null }],
  ])('%s: told to it, and after three times the run has failed', async (_name, proposal) => {
    const opened = await open(() => ({ proposal }));
    expect(await opened.world.run(await run(opened))).toMatchObject({ status: 'failed', error: { code: 'model_invalid_output' } });
    expect(opened.thinks).toHaveLength(3);
    expect(opened.thinks[1]?.journal[0]).toMatchObject({ kind: 'think', status: 'failed' });
    expect(opened.world.tools.calls).toEqual([]);
  });
});

describe('R9: a tool behind gRPC is decided, gated and intended like any other', () => {
  test('R9: what the policy denies never reaches the plugin', async () => {
    const opened = await open(once(propose(call('remote_block', { ip: '10.0.0.1' }))));
    opened.world.policy.decide = (request) => (request.kind === 'act' ? deny() : allow());
    const runId = await run(opened);
    expect(opened.calls).toEqual([]);
    expect((await opened.world.steps(runId))[1]).toMatchObject({ status: 'denied' });
    expect(opened.world.policy.asked.map(({ kind }) => kind)).toEqual(['think', 'act', 'think']);
  });

  test('R6: a gate holds it; what was approved is called once, with the key of its step', async () => {
    const opened = await open(once(propose(call('remote_block', { ip: '10.0.0.1' }))));
    opened.world.policy.decide = gateTools(['remote_block']);
    const runId = await run(opened);
    expect(opened.calls).toEqual([]);
    const [approval] = await opened.world.approvals(runId);
    await opened.world.decide(approval?.id ?? '', 'approve', { by: BOB });
    await (await opened.world.node()).work();
    expect(opened.calls).toMatchObject([{ tool: 'remote_block', args: { ip: '10.0.0.1' }, idempotencyKey: `${runId}:2`, runId }]);
    expect(await opened.world.run(runId)).toMatchObject({ status: 'completed' });
    expect((await opened.world.audit(runId)).filter(({ action_type: action, phase }) => action === 'tool_call' && phase === 'outcome')).toHaveLength(1);
  });

  test('R4: a plugin that is gone before the call did nothing: the agent is told, and no person is asked', async () => {
    const opened = await open(once(propose(call('remote_block', { ip: '10.0.0.1' }))));
    await opened.hand.close(0);
    const runId = await run(opened);
    expect((await opened.world.steps(runId))[1]).toMatchObject({ tool: 'remote_block', status: 'failed', error: { code: 'tool_failed', message: expect.stringContaining('nothing was done') } });
    expect(opened.calls).toEqual([]);
    expect(await opened.world.approvals(runId)).toEqual([]);
    expect(await opened.world.run(runId)).toMatchObject({ status: 'completed' });
  });
});
