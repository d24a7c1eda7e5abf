import { status } from '@grpc/grpc-js';
import { ErrorCode } from '@openeaap/proto';
import type { DeepPartial, ExecuteStepResponse, JournalStep, ProposedCall } from '@openeaap/proto';
import { answerText, shorten } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { inapplicable, kept, warning } from '../check.ts';
import { broken } from '../conformance-error.ts';
import type { Answer, Peer } from '../connect-peer.ts';
import { expectFinalOutput, expectStatus, expectStepError, onlyCallOf, parseJson, responseOf, valueOf } from '../expect-answer.ts';
import type { JsonValue } from '../json-value.ts';
import { isJsonObject } from '../json-value.ts';
import { startSleepingThink, waitFor } from '../slow-step.ts';
import type { Subject } from '../subject.ts';
import { newMarker, think, thinkRequest, withToken } from '../subject.ts';
import { sleepsSeen, waitForSleeps } from './tool-checks.ts';

const section = 'A step';
/** The thinks of `{"do": "count"}`. */
const COUNT_THINKS = 3;
/** Thinks at once, unless the plugin wants fewer. */
const PARALLEL_THINKS = 20;

export const agentChecks: readonly Check[] = [
  { name: 'agent.answers', promise: 'A think answers with a proposal or a StepError.', section: 'Who does what', needs: ['an agent'], run: expectAnyProposal },
  { name: 'agent.finish', promise: 'An output ends the run; it is any JSON value.', section, needs: ['the conformance agent'], run: expectFinish },
  { name: 'agent.propose', promise: 'A think proposes the call with its arguments and makes none.', section: 'Who does what', needs: ['the conformance agent'], run: expectPropose },
  { name: 'agent.shape', promise: 'A proposal has calls or an output, never both; ids are unique, arguments are JSON objects, outputs are JSON.', section: 'Who does what', needs: ['the conformance agent'], run: expectShape },
  { name: 'agent.only_offered', promise: 'Only tools of the request are proposed.', section: 'Who does what', needs: ['the conformance agent'], run: expectOnlyOffered },
  { name: 'agent.blocked', promise: 'What is in blocked_tools is not proposed.', section, needs: ['the conformance agent'], run: expectBlocked },
  { name: 'agent.observation', promise: 'What a call led to is taken from the journal.', section: 'Who does what', needs: ['the conformance agent'], run: expectObservation },
  { name: 'agent.denied', promise: 'A call that was denied is seen as such in the journal.', section: 'Who does what', needs: ['the conformance agent'], run: expectDenied },
  { name: 'agent.failed_think', promise: 'A think after one that failed goes on by the journal.', section: 'Who does what', needs: ['the conformance agent'], run: expectAfterFailure },
  { name: 'agent.state', promise: 'What it wants to find again it returns as strategy_state, and finds it in the journal.', section: 'Who does what', needs: ['the conformance agent'], run: (subject) => expectCount(subject, async () => subject.peer()) },
  { name: 'agent.stateless', promise: 'Nothing is remembered between steps: the same think has the same answer.', section: 'Who does what', needs: ['the conformance agent'], run: expectStateless },
  { name: 'agent.only_one', promise: 'An empty entrypoint means the only agent of the plugin.', section, needs: ['the conformance agent'], run: expectOnlyOne },
  { name: 'agent.fails', promise: 'A think without a model fails with MODEL_UNAVAILABLE, retryable.', section, needs: ['the conformance agent'], run: expectModelUnavailable },
  { name: 'agent.cancel', promise: 'A cancelled think stops what it does.', section, needs: ['the conformance agent'], run: expectCancelledThink },
  { name: 'agent.parallel', promise: 'Thinks at the same time do not get each other\'s inputs or journals.', section, needs: ['the conformance agent'], run: expectParallelThinks },
  { name: 'model.token', promise: 'The model is asked at the gateway of the step, with the token of the step.', section, needs: ['an agent that thinks by a model'], run: expectStepToken },
  { name: 'model.max_tokens', promise: 'max_tokens of the constraints bounds what the model may write.', section, needs: ['an agent that thinks by a model'], run: expectMaxTokens },
  { name: 'model.tools', promise: 'The model is offered the tools of the request.', section, needs: ['an agent that thinks by a model'], run: expectToolsOffered },
];

async function expectAnyProposal(subject: Subject): Promise<Seen> {
  const answer = await think(subject, { do: 'finish', output: newMarker() });
  const { error, proposal } = valueOf(answer, 'a response with a proposal or a StepError');
  if (error === undefined && proposal === undefined) throw broken('a proposal or a StepError', answerText(answer));
  return kept(answerText(answer));
}

async function expectFinish(subject: Subject): Promise<Seen> {
  const marker = newMarker();
  const outputs: readonly JsonValue[] = [`结论 ${marker}`, { verdict: marker, score: 0.5, list: [1, null, { ok: true }] }];
  for (const output of outputs) expectFinalOutput(await think(subject, { do: 'finish', output }), subject.agent, { exactly: output, mentions: marker });
  return kept('a text and an object');
}

async function expectPropose(subject: Subject): Promise<Seen> {
  const args = { ip: '203.0.113.7', note: newMarker() };
  const call = onlyCallOf(await propose(subject, 'lookup_address', args), 'lookup_address');
  if (!sameJson(call.args, args)) throw broken(`the arguments ${JSON.stringify(args)}`, shorten(call.args));
  return kept(`${call.tool} ${call.args}`);
}

const propose = (subject: Subject, tool: string, args: JsonValue, request: Parameters<typeof think>[2] = {}) => think(subject, { do: 'propose', tool, args }, request);

function sameJson(text: string, value: JsonValue): boolean {
  const parsed = parseJson(text, 'arguments that are JSON text');
  return isJsonObject(parsed) && isJsonObject(value) && Object.keys(value).length === Object.keys(parsed).length && Object.entries(value).every(([key, item]) => parsed[key] === item);
}

async function expectShape(subject: Subject): Promise<Seen> {
  const answers = [await propose(subject, 'lookup_address', { ip: '203.0.113.8' }), await think(subject, { do: 'finish', output: newMarker() })];
  for (const answer of answers) {
    const { proposal } = responseOf(answer, 'a proposal');
    if (proposal === undefined) throw broken('a proposal', answerText(answer));
    const { calls, output } = proposal;
    if (calls.length > 0 && output !== undefined) throw broken('calls or an output, not both', answerText(answer));
    if (calls.some(({ id }) => id === '')) throw broken('an id of every call', 'an empty one');
    if (new Set(calls.map(({ id }) => id)).size < calls.length) throw broken('ids that are unique within the think', calls.map(({ id }) => id).join(', '));
    for (const { args } of calls) if (!isJsonObject(parseJson(args, 'arguments that are JSON text'))) throw broken('arguments that are a JSON object', shorten(args));
    if (output !== undefined) parseJson(output, 'an output that is JSON text');
  }
  return kept('a proposal of a call and one of an output');
}

async function expectOnlyOffered(subject: Subject): Promise<Seen> {
  expectFinalOutput(await propose(subject, 'conformance_not_offered', {}), subject.agent, { exactly: 'blocked', mentions: 'blocked' });
  return kept('a tool that is not in the request is not proposed');
}

async function expectBlocked(subject: Subject): Promise<Seen> {
  // The control plane leaves blocked tools out of `tools`; a plugin must not rely on it, since the list is the promise.
  const answer = await propose(subject, 'block_address', { ip: '203.0.113.9' }, { request: { constraints: { blockedTools: ['block_address'], maxTokens: 512 } } });
  expectFinalOutput(answer, subject.agent, { exactly: 'blocked', mentions: 'blocked' });
  return kept('a blocked tool is not proposed');
}

async function expectObservation(subject: Subject): Promise<Seen> {
  const observation = { output: { score: 97, marker: newMarker() } };
  const { answer } = await proposeAndGoOn(subject, 'done', observation);
  expectFinalOutput(answer, subject.agent, { exactly: { observation }, mentions: observation.output.marker });
  return kept('the observation is in the output');
}

async function expectDenied(subject: Subject): Promise<Seen> {
  const observation = { error: { code: 'denied', message: `the policy says no ${newMarker()}` } };
  const { answer } = await proposeAndGoOn(subject, 'denied', observation);
  expectFinalOutput(answer, subject.agent, { exactly: { observation }, mentions: observation.error.message });
  return kept('the denial is in the output');
}

/** Two thinks with a call between them, as the control plane would write it down. */
async function proposeAndGoOn(subject: Subject, actStatus: string, observation: JsonValue) {
  const input = { do: 'propose', tool: 'lookup_address', args: { ip: '203.0.113.10' } };
  const first = await think(subject, input);
  const call = onlyCallOf(first, 'lookup_address');
  const journal = [thinkStep(1, responseOf(first, 'a proposal')), actStep(2, call, actStatus, observation)];
  return { answer: await think(subject, input, { request: { journal, stepNo: 3 } }) };
}

function thinkStep(no: number, { proposal, strategyState }: ExecuteStepResponse): DeepPartial<JournalStep> {
  return { no, stepId: `step-${no}`, step: { $case: 'think', value: { ...(proposal === undefined ? {} : { proposal }), strategyState } } };
}

function actStep(no: number, call: ProposedCall, actStatus: string, observation: JsonValue): DeepPartial<JournalStep> {
  return { no, stepId: `step-${no}`, step: { $case: 'act', value: { callId: call.id, tool: call.tool, args: call.args, status: actStatus, observation: JSON.stringify(observation), thinkNo: no - 1 } } };
}

async function expectAfterFailure(subject: Subject): Promise<Seen> {
  const marker = newMarker();
  const failed: DeepPartial<JournalStep> = { no: 1, stepId: 'step-1', step: { $case: 'think', value: { error: { code: ErrorCode.ERROR_CODE_MODEL_INVALID_OUTPUT, message: 'The reply was empty.' }, strategyState: '' } } };
  const answer = await think(subject, { do: 'finish', output: marker }, { request: { journal: [failed], stepNo: 2 } });
  expectFinalOutput(answer, subject.agent, { exactly: marker, mentions: marker });
  return kept('answered');
}

/** The run of `{"do": "count"}`; `peerFor` says where each think goes. */
export async function expectCount(subject: Subject, peerFor: (no: number) => Promise<Peer>): Promise<Seen> {
  const journal: DeepPartial<JournalStep>[] = [];
  for (let n = 1; n < COUNT_THINKS; n += 1) {
    const answer = await countThink(subject, journal, await peerFor(n));
    const call = expectCountCall(answer, n);
    journal.push(thinkStep(journal.length + 1, responseOf(answer, 'a proposal')));
    journal.push(actStep(journal.length + 1, call, 'done', { output: { echo: { n } } }));
  }
  expectFinalOutput(await countThink(subject, journal, await peerFor(COUNT_THINKS)), subject.agent, { exactly: COUNT_THINKS, mentions: String(COUNT_THINKS) });
  return kept('1, 2, 3');
}

function countThink(subject: Subject, journal: readonly DeepPartial<JournalStep>[], peer: Peer): Promise<Answer<ExecuteStepResponse>> {
  return think(subject, { do: 'count' }, { request: { journal: [...journal], stepNo: journal.length + 1 }, peer });
}

function expectCountCall(answer: Answer<ExecuteStepResponse>, n: number): ProposedCall {
  const call = onlyCallOf(answer, 'conformance_echo');
  if (!sameJson(call.args, { n })) throw broken(`conformance_echo with {"n":${n}}`, shorten(call.args));
  return call;
}

async function expectStateless(subject: Subject): Promise<Seen> {
  const { request, token } = thinkRequest(subject, { do: 'count' });
  return withToken(subject, token, async () => {
    // The same step tried again, and the same think of another run.
    for (const again of [request, request, { ...request, runId: 'another-run', stepId: 'another-step' }]) expectCountCall(await subject.peer().step(again), 1);
    return kept('three times the first think, three times the same answer');
  });
}

async function expectOnlyOne(subject: Subject): Promise<Seen> {
  if (subject.offer.agents.length > 1) return inapplicable(`the plugin hosts ${subject.offer.agents.length} agents`);
  const marker = newMarker();
  const answer = await think(subject, { do: 'finish', output: marker }, { request: { agent: { name: 'conformance', entrypoint: '', reasoning: 'react', model: { maxTokens: 512, toolCalling: 'native' } } } });
  expectFinalOutput(answer, subject.agent, { exactly: marker, mentions: marker });
  return kept('answered without a name');
}

async function expectModelUnavailable(subject: Subject): Promise<Seen> {
  return kept(expectStepError(await think(subject, { do: 'fail' }), ErrorCode.ERROR_CODE_MODEL_UNAVAILABLE, true).message);
}

async function expectCancelledThink(subject: Subject): Promise<Seen> {
  return subject.agent?.nature === 'model' ? expectModelLeft(subject) : expectSleepStopped(subject);
}

async function expectModelLeft(subject: Subject): Promise<Seen> {
  const { request, token } = thinkRequest(subject, { do: 'sleep', ms: subject.timing.longSleepMs });
  const stop = new AbortController();
  return withToken(subject, token, async () => {
    const step = subject.peer().step(request, { signal: stop.signal, deadlineMs: subject.timing.longSleepMs });
    const asked = await waitFor(() => subject.model.requestsOf(token).length > 0, subject.timing.callMs);
    stop.abort();
    expectStatus(await step, [status.CANCELLED]);
    if (!asked) throw broken('a request to the model', 'none');
    const left = await waitFor(() => subject.model.requestsOf(token).every((seen) => seen.leftEarly()), subject.timing.stopSeenMs);
    if (!left) throw broken(`the request to the model to be given up within ${subject.timing.stopSeenMs} ms`, 'it went on');
    return kept('the request to the model was given up');
  });
}

async function expectSleepStopped(subject: Subject): Promise<Seen> {
  const counts = subject.offer.tools.some(({ name }) => name === 'conformance_sleeps_seen');
  const before = counts ? await sleepsSeen(subject) : 0;
  const stop = new AbortController();
  const step = startSleepingThink(subject, { ms: subject.timing.longSleepMs, signal: stop.signal });
  await step.begun();
  stop.abort();
  expectStatus(await step.answer, [status.CANCELLED]);
  const seen = counts ? await waitForSleeps(subject, before) : null;
  return seen === null ? warning('cannot be seen from outside: conformance_sleeps_seen does not count the sleeps of the agent') : kept(`seen to stop after ${seen} ms`);
}

/** Like tool.parallel, for thinks: what one is asked must not come out of another. */
async function expectParallelThinks(subject: Subject): Promise<Seen> {
  const wanted = subject.offer.maxConcurrentSteps;
  const thinks = wanted === 0 ? PARALLEL_THINKS : Math.min(PARALLEL_THINKS, wanted);
  const markers = Array.from({ length: thinks }, newMarker);
  const answers = await Promise.all(markers.map((marker) => think(subject, { do: 'finish', output: marker })));
  for (const [index, answer] of answers.entries()) expectFinalOutput(answer, subject.agent, { exactly: markers[index] ?? '', mentions: markers[index] ?? '' });
  return kept(`${thinks} at once`);
}

async function expectStepToken(subject: Subject): Promise<Seen> {
  const strangers = subject.model.strangers();
  for (let round = 0; round < 2; round += 1) {
    const { request, token } = thinkRequest(subject, { do: 'finish', output: newMarker() });
    const answer = await withToken(subject, token, () => subject.peer().step(request));
    if (subject.model.strangers() > strangers) throw broken('requests with the OPENEAAP_MODEL_TOKEN of the step', 'one with another token, or none');
    if (subject.model.requestsOf(token).length === 0) throw broken('a request to OPENEAAP_GATEWAY_URL with the OPENEAAP_MODEL_TOKEN of this step', 'none');
    responseOf(answer, 'a proposal');
  }
  return kept('each of two steps used its own');
}

async function expectMaxTokens(subject: Subject): Promise<Seen> {
  const most = 77;
  const { request, token } = thinkRequest(subject, { do: 'finish', output: newMarker() }, { constraints: { maxTokens: most } });
  responseOf(await withToken(subject, token, () => subject.peer().step(request)), 'a proposal');
  const over = subject.model.requestsOf(token).find(({ maxTokens }) => maxTokens === null || maxTokens > most);
  if (over !== undefined) throw broken(`max_tokens or max_completion_tokens of at most ${most}`, over.maxTokens === null ? 'neither in the request' : String(over.maxTokens));
  return kept(`at most ${most}`);
}

async function expectToolsOffered(subject: Subject): Promise<Seen> {
  const { request, token } = thinkRequest(subject, { do: 'propose', tool: 'lookup_address', args: { ip: '203.0.113.11' } });
  onlyCallOf(await withToken(subject, token, () => subject.peer().step(request)), 'lookup_address');
  const names = new Set(subject.model.requestsOf(token).flatMap(({ tools }) => tools));
  // By the text form the names stand in the prompt; the call above shows that they were there.
  const missing = names.size === 0 ? undefined : request.tools.find(({ name }) => !names.has(name));
  if (missing !== undefined) throw broken(`the tool ${missing.name} among those that the model may call`, [...names].join(', '));
  return kept(names.size === 0 ? 'in the prompt' : [...names].join(', '));
}
