import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { thinkFromWire, thinkToWire } from '@openeaap/adapter';
import type { RuntimeAdapter, ThinkRequest, ThinkResponse } from '@openeaap/adapter';
import type { ActStep, AgentConfiguration, Proposal, Step, ThinkStep } from '@openeaap/kernel';
import { AGENT_DEFAULTS, NO_CONSTRAINTS, NO_USAGE, randomIds, toPlatformError } from '@openeaap/kernel';
import { createOpenAiChat } from '@openeaap/msig';
import { RuntimeServiceClient } from '@openeaap/proto';
import type { ExecuteStepEvent } from '@openeaap/proto';
import { GATEWAY_URL, createWorkerRuntime } from './create-worker-runtime.ts';
import { runWorker } from './run-worker.ts';
import type { Answer, ScriptedModel } from './testing/scripted-model.ts';
import { startScriptedModel } from './testing/scripted-model.ts';

let answer: Answer = {};
let model: ScriptedModel;
let inProcess: RuntimeAdapter;
let client: RuntimeServiceClient;
const chat = createOpenAiChat({ now: Date.now, newId: randomIds.newId, random: () => 0 });
const stop = new AbortController();
let worker: Promise<void>;

beforeAll(async () => {
  model = await startScriptedModel(() => answer);
  inProcess = createWorkerRuntime(chat, '0.1.0');
  const line = await new Promise<string>((resolve, reject) => {
    worker = runWorker({ settings: { listen: '127.0.0.1:0', name: null, token: null, tls: null }, version: '0.1.0', log: () => undefined, announce: resolve }, stop.signal);
    worker.catch(reject);
  });
  client = new RuntimeServiceClient((JSON.parse(line) as { readonly listen: string }).listen, credentials.createInsecure());
});
beforeEach(() => {
  answer = {};
  model.asked.length = 0;
});
afterAll(async () => {
  client.close();
  stop.abort();
  await worker;
  await chat.close();
  await model.close();
});

/** As the control plane thinks with a plugin: the generated client and the conversions of the adapter. */
async function overTheWire(request: ThinkRequest, onDelta: (text: string) => void): Promise<ThinkResponse> {
  const events: ExecuteStepEvent[] = [];
  await new Promise((resolve, reject) => client.executeStepStream(thinkToWire(request)).on('data', (event: ExecuteStepEvent) => events.push(event)).on('end', resolve).on('error', reject));
  for (const { event } of events) if (event?.$case === 'delta') onDelta(event.value);
  const last = events.at(-1)?.event;
  if (last?.$case !== 'response') throw new Error('no response');
  return thinkFromWire(last.value);
}

const AT = new Date(0);
const base = { policyVersion: 'p', agentVersion: '1', startedAt: AT, finishedAt: AT };

function aThink(no: number, proposal: Partial<Proposal> | null, rest: Partial<ThinkStep> = {}): ThinkStep {
  return {
    ...base, kind: 'think', no, id: `s${no}`, usage: NO_USAGE, model: 'm', strategyState: null, reportedByRuntime: [],
    decision: { effect: 'allow', constraints: NO_CONSTRAINTS, reservations: [], rule: 'r', reason: '', policyVersion: 'p' },
    status: proposal === null ? 'failed' : 'done',
    proposal: proposal === null ? null : { thought: '', calls: [], output: null, ...proposal },
    error: proposal === null ? { code: 'model_invalid_output', message: 'It was nonsense.' } : null,
    ...rest,
  };
}

function anAct(no: number, thinkNo: number, rest: Partial<ActStep> = {}): ActStep {
  return { ...base, kind: 'act', no, id: `s${no}`, thinkNo, callId: 'c1', tool: 'look_up', args: { q: 'x' }, decision: null, approvalId: null, status: 'done', attempts: 1, lineage: [], result: { found: 7 }, suspicious: false, error: null, ...rest };
}

function aRequest(journal: readonly Step[], agent: Partial<AgentConfiguration> = {}, rest: Partial<ThinkRequest> = {}): ThinkRequest {
  return {
    tenantId: 't', runId: 'r', stepId: 's', stepNo: journal.length + 1, agentId: 'a', agentName: 'triage', agentVersion: '3', principal: { tenantId: 't', userId: 'u', groups: [], clearance: 1 },
    agent: { ...AGENT_DEFAULTS, systemPrompt: 'You are a test.', ...agent }, traceContext: {}, input: 'the task', journal, constraints: NO_CONSTRAINTS,
    tools: [{ name: 'look_up', version: '1', description: 'Looks something up.', effect: 'read', idempotent: true, timeoutMs: 1_000, inputSchema: { type: 'object', properties: { q: { type: 'string' } } } }],
    ephemeralCredentials: { OPENEAAP_MODEL_TOKEN: 'for-this-step', [GATEWAY_URL]: model.baseUrl }, ...rest,
  };
}

const call = { id: 'c1', tool: 'look_up', args: { q: 'x' } };
const tree = { phase: 'rate', depth: 0, paths: [[]], candidates: [['a', 'ü'], ['b']] };
const journals: Readonly<Record<string, readonly Step[]>> = {
  'none yet': [],
  'calls with what came of each': [
    aThink(1, { thought: 'look', calls: [call, { ...call, id: 'c2' }, { ...call, id: 'c3' }] }),
    anAct(2, 1, { result: { nested: [1, null, 'ü\u2028'], big: 2 ** 53 } }),
    anAct(3, 1, { callId: 'c2', status: 'rejected', result: null, error: { code: 'approval_rejected', message: 'Rejected by bob: no' } }),
    anAct(4, 1, { callId: 'c3', status: 'denied', result: null, error: { code: 'policy_denied', message: 'no' } }),
  ],
  'each way an act can end': (['invalid', 'denied', 'done', 'failed', 'rejected', 'expired', 'dry_run'] as const).flatMap((status, n): readonly Step[] => [
    aThink(2 * n + 1, { calls: [call] }),
    anAct(2 * n + 2, 2 * n + 1, status === 'done' ? { status, result: null } : status === 'dry_run' ? { status, result: { would: 'block' } } : { status, result: null, error: status === 'expired' ? null : { code: 'tool_failed', message: 'why' } }),
  ]),
  'a reply that could not be used': [aThink(1, { thought: 'hm' }), aThink(2, null)],
  'malformed arguments': [aThink(1, { calls: [{ id: 'c1', tool: 'look_up', args: null, malformed: '{"q": ' }] }), anAct(2, 1, { status: 'invalid', args: null, result: null, error: { code: 'invalid_input', message: 'not JSON' } })],
  'arguments that an approver changed': [aThink(1, { calls: [call] }), anAct(2, 1, { args: { q: 'y' } })],
  'a state': [aThink(1, { thought: 'Candidates' }, { strategyState: tree })],
  'a state behind a failure': [aThink(1, { thought: 'Candidates' }, { strategyState: tree }), aThink(2, null)],
};
const replies: Readonly<Record<string, Answer>> = {
  text: { message: { content: 'Thought: done.\nFinal Answer: 42' } },
  'tool calls': { message: { content: 'let me see', tool_calls: [{ id: 'c9', type: 'function', function: { name: 'look_up', arguments: '{"q":"z"}' } }, { id: 'c10', type: 'function', function: { name: 'look_up', arguments: '{"q": ' } }] }, finishReason: 'tool_calls' },
  JSON: { message: { content: '{"thoughts":[{"line":1,"text":"a"}],"ratings":[{"line":2,"score":7}]}' } },
  'half an answer': { message: { content: 'half an ans' }, finishReason: 'length' },
  nothing: { message: { content: '' } },
  'a refusal': { status: 400 },
};

/** What came of a think: what the model was asked, what was shown, and what was answered or thrown. */
async function outcomeOf(think: (request: ThinkRequest, onDelta: (text: string) => void) => Promise<ThinkResponse>, request: ThinkRequest): Promise<unknown> {
  model.asked.length = 0;
  const deltas: string[] = [];
  const ended = await think(request, (text) => deltas.push(text)).then(
    (response) => response,
    (thrown: unknown) => ({ code: toPlatformError(thrown).code, message: toPlatformError(thrown).message }),
  );
  return { asked: structuredClone(model.asked), deltas, ended };
}

describe('the native runtime thinks the same in the process and as a plugin', () => {
  const modes = [{ reasoning: 'react' }, { reasoning: 'react', model: { name: 'm', temperature: 0.5, maxTokens: 100, toolCalling: 'text' } }, { reasoning: 'cot' }, { reasoning: 'tot' }] as const;
  test.each(modes.flatMap((mode) => Object.keys(replies).map((reply) => [mode, reply] as const)))('%j, the model replies with %s, over all journals', async (mode, reply) => {
    answer = replies[reply] ?? {};
    for (const journal of Object.values(journals)) {
      const request = aRequest(journal, mode);
      const here = await outcomeOf((asked, onDelta) => inProcess.executeStep(asked, { signal: new AbortController().signal, onDelta }), request);
      expect(here).toMatchObject({ asked: [{ key: 'Bearer for-this-step' }] });
      expect(await outcomeOf(overTheWire, request)).toEqual(here);
    }
  });

  test.each<[string, Partial<ThinkRequest>]>([
    ['an input that is no text', { input: { alert: [1, { deep: null }] } }],
    ['an input that is null', { input: null }],
    ['no tools', { tools: [] }],
    ['a cap on tokens', { constraints: { blockedTools: ['x'], dryRun: true, maxTokens: 50 } }],
  ])('%s', async (_name, rest) => {
    const request = aRequest([], {}, rest);
    const here = await outcomeOf((asked, onDelta) => inProcess.executeStep(asked, { signal: new AbortController().signal, onDelta }), request);
    expect(await outcomeOf(overTheWire, request)).toEqual(here);
  });
});

describe('the worker', () => {
  test('asks nobody without the step’s address or token, and says which is missing', async () => {
    for (const name of ['OPENEAAP_MODEL_TOKEN', GATEWAY_URL]) {
      const request = aRequest([]);
      const ended = overTheWire({ ...request, ephemeralCredentials: { ...request.ephemeralCredentials, [name]: '' } }, () => undefined);
      await expect(ended).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining(name) });
    }
    expect(model.asked).toEqual([]);
  });

  test('stops asking when the step is cancelled', async () => {
    answer = { hangs: true };
    const stream = client.executeStepStream(thinkToWire(aRequest([])));
    const ended = new Promise((resolve) => stream.on('error', resolve).resume());
    await expect.poll(() => model.asked.length).toBe(1);
    stream.cancel();
    expect(await ended).toMatchObject({ code: 1 });
  });
});
