import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client, StreamEvent } from './client/index.ts';
import { createClient } from './client/index.ts';
import type { AgentContext, AgentRequest, Serving } from './index.ts';
import { ModelUnavailable, ToolError, agent, call, finish, serve, tool } from './index.ts';
import type { Server } from './testing/start-server.ts';
import { startServer } from './testing/start-server.ts';

const POLICY = `rbac:
  roles:
    - name: "sdk-tester"
      members: ["user:admin"]
      tools: ["sdk_*"]
      agents: ["*"]
approval_gates:
  - tool_pattern: "sdk_block"
    condition: "always"
    approvers: ["user:admin"]
    timeout: "1h"
`;
const HOST = { type: 'object', properties: { host: { type: 'string' } }, required: ['host'], additionalProperties: false } as const;
const blocked: string[] = [];

const ownerOf = tool({
  name: 'sdk_owner_of', description: 'Says whom a host belongs to.', input: HOST, effect: 'read',
  run: ({ host }, { principal }) => {
    if (host === 'nobody') throw new ToolError('Nobody knows it.');
    return { host, owner: 'Ada', by: principal.userId };
  },
});
const block = tool({ name: 'sdk_block', description: 'Blocks a host.', input: HOST, effect: 'destructive', run: ({ host }, { idempotencyKey }) => (blocked.push(`${host} ${idempotencyKey}`), 'blocked') });

/** Calls the tool that it is told to once, then tells what came of it. */
function think(request: AgentRequest, { emit }: { readonly emit: (text: string) => void }) {
  const seen = request.journal.findLast((step) => step.kind === 'act');
  if (seen?.kind === 'act') return finish({ observed: seen.observation, state: request.state, unit: request.agent.settings['unit'] ?? null });
  const { tool: name, host } = request.input as { readonly tool: string; readonly host: string };
  for (const text of ['looking ', 'it up']) emit(text);
  return call(name, { host }, { thought: 'Let me see.', state: { asked: 1 } });
}

/** Asks the platform's gateway as any client of OpenAI would. */
async function askModel({ input, agent }: AgentRequest, { model, signal }: AgentContext) {
  if (model === null) throw new ModelUnavailable('The platform sent no gateway.');
  const response = await fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    signal,
    headers: { authorization: `Bearer ${model.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: agent.model.name, messages: [{ role: 'user', content: input }] }),
  });
  if (!response.ok) throw new ModelUnavailable(`The gateway answered ${response.status}: ${await response.text()}`);
  const reply = (await response.json()) as { readonly choices: readonly { readonly message: { readonly content: string } }[] };
  return finish({ said: reply.choices[0]?.message.content ?? null });
}

let server: Server;
let plugin: Serving;
let client: Client;

beforeAll(async () => {
  server = await startServer(POLICY);
  client = createClient({ url: server.url, apiKey: server.apiKey });
  plugin = await serve({
    name: 'sdk-plugin', version: '1.0.0', tools: [ownerOf, block], agents: [agent({ name: 'asks', think }), agent({ name: 'model', think: askModel })],
    process: { environment: { OPENEAAP_PLUGIN_LISTEN: '127.0.0.1:0' }, writeOutput: () => undefined, writeError: () => undefined, onStop: () => () => undefined, end: () => undefined },
  });
  await client.plugins.declare({ name: 'sdk-plugin', type: 'runtime-worker', address: plugin.address });
  await client.plugins.waitReady('sdk-plugin');
  await client.agents.create({ name: 'sdk-asks', version: '1.0.0', configuration: { runtime: 'sdk-plugin', entrypoint: 'asks', tools: ['sdk_owner_of', 'sdk_block'], settings: { unit: 'soc' } } });
  await client.agents.publish('sdk-asks@1.0.0');
});
afterAll(async () => {
  await plugin?.close();
  await server?.stop();
});

async function follow(runId: string, until: (event: StreamEvent) => boolean = () => false): Promise<readonly StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of client.runs.stream(runId, { signal: AbortSignal.timeout(60_000) })) {
    events.push(event);
    if (until(event)) break;
  }
  return events;
}

describe('a plugin of the SDK on the real platform, by the client of the SDK', () => {
  test('is listed with what it offers', async () => {
    expect(await client.plugins.get('sdk-plugin')).toMatchObject({ tools: ['sdk_owner_of', 'sdk_block'], agents: ['asks', 'model'], sdk: expect.stringContaining('typescript') });
    expect((await client.tools.list()).find(({ name }) => name === 'sdk_block')).toMatchObject({ plugin: 'sdk-plugin', effect: 'destructive', version: '1.0.0' });
    expect(await client.agents.get('sdk-asks')).toMatchObject({ version: '1.0.0', current: true, status: 'published', configuration: { entrypoint: 'asks' } });
  });

  test('that is not there is never ready, and the error says why', async () => {
    await client.plugins.declare({ name: 'sdk-nowhere', type: 'runtime-worker', address: '127.0.0.1:1' });
    await expect(client.plugins.waitReady('sdk-nowhere', { timeoutMs: 500 })).rejects.toMatchObject({ code: 'timeout', message: expect.stringMatching(/^The plugin sdk-nowhere is .+ after 500 ms: .+/) });
    await client.plugins.remove('sdk-nowhere');
    await expect(client.plugins.get('sdk-nowhere')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('thinks and acts, streamed from the first event to the last', async () => {
    const { run_id, replayed } = await client.runs.create('sdk-asks', { input: { tool: 'sdk_owner_of', host: 'web-1' } });
    expect(replayed).toBe(false);
    const events = await follow(run_id);
    const stored = events.filter(({ seq }) => seq !== null);
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_event, index) => index + 1));
    expect(stored.map(({ type }) => type)).toEqual(expect.arrayContaining(['run_created', 'run_started', 'step_thought', 'policy_decision', 'tool_call', 'tool_result', 'run_completed']));
    expect(stored.at(-1)).toMatchObject({ type: 'run_completed', data: { run_id } });
    const run = await client.runs.get(run_id);
    expect(run).toMatchObject({ status: 'completed', output: { observed: { output: { host: 'web-1', owner: 'Ada', by: 'admin' } }, state: { asked: 1 }, unit: 'soc' } });
    expect((await client.runs.steps(run_id)).map(({ kind }) => kind)).toEqual(['think', 'act', 'think']);
    expect((await client.runs.events(run_id, { after: 2, limit: 2 })).items.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(await client.runs.giveFeedback(run_id, { score: 1 })).toMatchObject({ feedback_id: expect.any(String) });
    expect((await follow(run_id)).map(({ type }) => type)).toContain('run_completed');
  });

  test('a tool that fails is told to the agent', async () => {
    const { run_id } = await client.runs.create('sdk-asks', { input: { tool: 'sdk_owner_of', host: 'nobody' } });
    expect(await client.runs.wait(run_id)).toMatchObject({ status: 'completed', output: { observed: { error: { code: 'tool_failed', message: 'Nobody knows it.' } } } });
  });

  test('a call behind a gate waits for a person, and is made once', async () => {
    const { run_id } = await client.runs.create('sdk-asks', { input: { tool: 'sdk_block', host: 'web-9' } });
    const paused = await client.runs.wait(run_id, { until: 'ended_or_paused' });
    expect(paused).toMatchObject({ status: 'paused', pause_reason: 'approval', pending_approvals: [expect.any(String)] });
    expect(blocked).toEqual([]);
    const [id = ''] = paused.pending_approvals;
    const approval = await client.approvals.get(id);
    expect(approval).toMatchObject({ tool: 'sdk_block', args: { host: 'web-9' }, status: 'pending' });
    await expect(client.approvals.decide(id, { verdict: 'approve', callHash: '0'.repeat(64) })).rejects.toMatchObject({ code: 'hash_mismatch', status: 409 });
    expect(await client.approvals.decide(id, { verdict: 'approve', callHash: approval.call_hash })).toMatchObject({ status: 'approved', decided_by: 'admin' });
    expect(await client.runs.wait(run_id)).toMatchObject({ status: 'completed', output: { observed: { output: 'blocked' } } });
    expect(blocked).toEqual([expect.stringMatching(/^web-9 .+:\d+$/)]);
    await expect(client.approvals.decide(id, { verdict: 'reject', comment: 'late' })).rejects.toMatchObject({ code: 'already_decided' });
  });

  test('an agent asks the model at the gateway with the key of its think, and the run is billed for it', async () => {
    await client.agents.create({ name: 'sdk-model', version: '1.0.0', configuration: { runtime: 'sdk-plugin', entrypoint: 'model' } });
    await client.agents.publish('sdk-model@1.0.0');
    const { run_id } = await client.runs.create('sdk-model', { input: 'Who are you?' });
    const run = await client.runs.wait(run_id);
    expect(run).toMatchObject({ status: 'completed', error: null, output: { said: expect.any(String) } });
    expect(run.usage.prompt_tokens).toBeGreaterThan(0);
  });

  test('one key is one run; another request with it is refused', async () => {
    const input = { tool: 'sdk_owner_of', host: 'web-2' };
    const first = await client.runs.create('sdk-asks', { input, idempotencyKey: 'sdk-once' });
    expect(await client.runs.create('sdk-asks', { input, idempotencyKey: 'sdk-once' })).toMatchObject({ run_id: first.run_id, replayed: true });
    await expect(client.runs.create('sdk-asks', { input: 'other', idempotencyKey: 'sdk-once' })).rejects.toMatchObject({ code: 'idempotency_mismatch' });
  });

  test('runs are listed over pages, and one that waits can be cancelled', async () => {
    const later = await client.runs.create('sdk-asks', { input: 'x', delayS: 3_600 });
    expect(await client.runs.cancel(later.run_id, 'changed my mind')).toMatchObject({ run_id: later.run_id, cancel_requested_at: expect.any(String) });
    expect(await client.runs.wait(later.run_id)).toMatchObject({ status: 'cancelled', error: { message: expect.stringContaining('changed my mind') } });
    const ids: string[] = [];
    for await (const run of client.runs.all({ limit: 2 })) ids.push(run.run_id);
    expect(ids).toContain(later.run_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(3);
  });

  test('errors are the server’s, by code', async () => {
    await expect(client.runs.get('01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10')).rejects.toMatchObject({ code: 'not_found', status: 404, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) });
    await expect(client.runs.create('no-such-agent', { input: 'x' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(createClient({ url: server.url, apiKey: 'wrong' }).runs.list()).rejects.toMatchObject({ code: 'unauthenticated', status: 401 });
  });
});
