import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecuteStepResponse } from '@openeaap/proto';
import { broken } from './conformance-error.ts';
import type { Answer, Peer } from './connect-peer.ts';
import { expectFinalOutput, expectToolOutput, responseOf, valueOf } from './expect-answer.ts';
import type { Subject } from './subject.ts';
import { callTool, newMarker, think, thinkRequest, withToken } from './subject.ts';

/** A step that is under way: a call of conformance_sleep where there is one, else a think that sleeps. */
export interface SlowStep {
  readonly answer: Promise<Answer<ExecuteStepResponse>>;
  /** Resolves when the plugin has it in hand. */
  readonly begun: () => Promise<void>;
  /** Throws unless the step was finished as it should be. */
  readonly expectFinished: (answer: Answer<ExecuteStepResponse>) => void;
}

export interface SlowStepOptions {
  readonly ms: number;
  readonly peer?: Peer;
  readonly signal?: AbortSignal;
}

/** Quick steps behind a slow one, so that the slow one has begun. */
const SETTLE_TURNS = 3;
const POLL_MS = 10;

const hasTool = ({ offer }: Subject, name: string): boolean => offer.tools.some((tool) => tool.name === name);

/** Whether the plugin offers any step that can be made to take long. */
export function canBeSlow(subject: Subject): boolean {
  return hasTool(subject, 'conformance_sleep') || canThinkSlowly(subject);
}

const canThinkSlowly = ({ agent }: Subject): boolean => agent !== null && agent.nature !== 'other';

export function startSlowStep(subject: Subject, options: SlowStepOptions): SlowStep {
  return hasTool(subject, 'conformance_sleep') ? startSleepingTool(subject, options) : startSleepingThink(subject, options);
}

const callOf = (subject: Subject, { ms, signal }: SlowStepOptions) => ({ deadlineMs: ms + subject.timing.callMs, ...(signal === undefined ? {} : { signal }) });

function startSleepingTool(subject: Subject, options: SlowStepOptions): SlowStep {
  const { ms, peer = subject.peer() } = options;
  return {
    answer: callTool(subject, 'conformance_sleep', { ms }, { peer, call: callOf(subject, options) }),
    begun: () => settle(subject, peer),
    expectFinished: (answer) => expectToolOutput(answer, { slept_ms: ms }),
  };
}

export function startSleepingThink(subject: Subject, options: SlowStepOptions): SlowStep {
  const { ms, peer = subject.peer() } = options;
  const { request, token } = thinkRequest(subject, { do: 'sleep', ms });
  return {
    answer: withToken(subject, token, () => peer.step(request, callOf(subject, options))),
    begun: () => (subject.agent?.nature === 'model' ? waitForModel(subject, token) : settle(subject, peer)),
    expectFinished: (answer) => expectFinalOutput(answer, subject.agent, { exactly: 'slept', mentions: 'slept' }),
  };
}

/** On one connection what was sent first is received first: after the answers to these the step before is there. */
async function settle(subject: Subject, peer: Peer): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn += 1) valueOf(await quickStep(subject, peer, subject.timing.callMs), 'an answer to a step beside a slow one');
}

async function waitForModel(subject: Subject, token: string): Promise<void> {
  const asked = await waitFor(() => subject.model.requestsOf(token).length > 0, subject.timing.callMs);
  if (!asked) throw broken('a request to the model', 'none');
}

/** A step that a plugin answers at once. */
export function quickStep(subject: Subject, peer: Peer, deadlineMs: number): Promise<Answer<ExecuteStepResponse>> {
  const wish = { peer, call: { deadlineMs } };
  if (hasTool(subject, 'conformance_echo')) return callTool(subject, 'conformance_echo', {}, wish);
  if (canThinkSlowly(subject)) return think(subject, { do: 'finish', output: newMarker() }, wish);
  return callTool(subject, 'conformance_no_such_tool', {}, wish);
}

/** Whether it became true in time. */
export async function waitFor(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const until = Date.now() + timeoutMs;
  while (!condition() && Date.now() < until) await sleep(POLL_MS);
  return condition();
}

/** After a restart: the plugin does its work again. */
export async function expectWork(subject: Subject): Promise<void> {
  const answer = await quickStep(subject, subject.peer(), subject.timing.callMs);
  if (hasTool(subject, 'conformance_echo') || canThinkSlowly(subject)) responseOf(answer, 'an answer of the next process');
  else valueOf(answer, 'an answer of the next process');
}
