import type { Proposal, RunError, StepError, ThinkStep } from '@openeaap/kernel';
import { LIMITS, NO_USAGE, PlatformError, linkSignals, toPlatformError, unlessAborted } from '@openeaap/kernel';
import type { ThinkResponse } from '@openeaap/adapter';
import { admitCalls } from './admit-calls.ts';
import type { DriveDeps } from './deps.ts';
import { thinkInterrupted, thinkOutcome } from './facts.ts';
import type { Fragment } from './fragment.ts';
import { merge } from './fragment.ts';
import { createDeltaMasker } from './mask-deltas.ts';
import { maskText } from './mask-text.ts';
import type { Action } from './plan.ts';
import type { RunState } from './run-state.ts';
import { withSteps } from './run-state.ts';
import { inSpan, traceHeaders } from './spans.ts';
import { stepIdentity } from './step-identity.ts';
import { toStorable } from './to-storable.ts';

export type Outcome =
  | { readonly kind: 'done'; readonly fragment: Fragment; readonly failure: RunError | null }
  /** Stopped from outside before anything came of it: look at the signals again. The fragment books what it cost. */
  | { readonly kind: 'interrupted'; readonly fragment: Fragment };

/** What the journal keeps of a tool's name and of a call's id. */
const NAME_CHARS = 255;

type ThinkAction = Action & { readonly kind: 'think' };

/**
 * One think: the runtime proposes, the gateway meters. What the model may do wrong (nonsense,
 * nothing, too much) becomes a failed step that the runtime is shown next time; a model that
 * cannot be reached ends the run (R11).
 */
export async function performThink(state: RunState, action: ThinkAction, deps: DriveDeps, signal: AbortSignal): Promise<Outcome> {
  const startedAt = deps.clock.now();
  const result = await think(state, action, deps, signal);
  const seconds = (deps.clock.now().getTime() - startedAt.getTime()) / 1_000;
  const metered = deps.meter.take(action.stepId);
  const backend = metered?.backend ?? '';
  const usage = metered?.usage ?? NO_USAGE;
  const costs = {
    usage: metered === null ? [] : [{ stepNo: action.stepNo, backend, usage }],
    settlements: settle(action, usage.promptTokens + usage.completionTokens),
  };
  if (result.kind === 'error' && signal.aborted) {
    return { kind: 'interrupted', fragment: merge({ ...costs, audit: [thinkInterrupted(state, action.stepNo, Math.round(seconds * 1_000))] }) };
  }
  deps.observe({ kind: 'think', seconds, outcome: result.kind === 'ok' ? 'ok' : result.error.code });
  const step: ThinkStep = {
    kind: 'think',
    no: action.stepNo,
    id: action.stepId,
    policyVersion: state.run.policyVersion,
    agentVersion: state.agent.version,
    startedAt,
    finishedAt: deps.clock.now(),
    decision: action.decision,
    status: result.kind === 'ok' ? 'done' : 'failed',
    proposal: result.kind === 'ok' ? result.proposal : null,
    error: result.kind === 'ok' ? null : result.error,
    usage,
    model: backend,
    strategyState: result.kind === 'ok' ? result.response.strategyState : null,
    reportedByRuntime: result.kind === 'ok' ? result.response.auditLogs.slice(0, LIMITS.toolCallsPerThink) : [],
  };
  if (metered !== null) deps.observe({ kind: 'tokens', agentId: state.agent.id, model: backend, tokens: usage.promptTokens + usage.completionTokens });
  const admitted = await admitCalls({ ...state, steps: withSteps(state.steps, [step]) }, step, deps);
  const fragment = merge(
    {
      ...costs,
      steps: [step],
      events: eventsOf(step, seconds, metered?.calls ?? 0),
      audit: [thinkOutcome(state, step, Math.round(seconds * 1_000))],
    },
    admitted,
  );
  return { kind: 'done', fragment, failure: result.kind === 'error' && endsRun(result.error) ? result.error : null };
}

type ThinkResult =
  | { readonly kind: 'ok'; readonly response: ThinkResponse; readonly proposal: Proposal }
  | { readonly kind: 'error'; readonly error: StepError };

async function think(state: RunState, action: ThinkAction, deps: DriveDeps, signal: AbortSignal): Promise<ThinkResult> {
  const { run, agent } = state;
  const runtime = deps.runtimes.find(agent.configuration.runtime);
  if (runtime === null) return { kind: 'error', error: { code: 'unsupported', message: `There is no runtime "${agent.configuration.runtime}" on this node.` } };
  const timeoutMs = Math.min(agent.configuration.thinkTimeoutMs, LIMITS.thinkTimeoutCeilingMs);
  const maxTokens = tightest(agent.configuration.model.maxTokens, action.decision.constraints.maxTokens);
  const identity = stepIdentity(state, { stepId: action.stepId, tool: null, maxTokens, timeoutMs });
  const { signal: stop, timedOut, release } = linkSignals([signal], timeoutMs);
  const deltas = createDeltaMasker((text) => maskText(deps.text, text), (text) => deps.watch.delta({ runId: run.id, stepNo: action.stepNo, text }));
  try {
    const response = await inSpan('Agent.Step', { 'agent.id': agent.id, 'agent.name': agent.name, 'gen_ai.agent.name': agent.name, 'run.step': action.stepNo }, () =>
      unlessAborted(stop, runtime.executeStep(
        {
          tenantId: run.tenantId,
          runId: run.id,
          stepId: action.stepId,
          stepNo: action.stepNo,
          agentId: agent.id,
          agentName: agent.name,
          agentVersion: agent.version,
          principal: run.principal,
          agent: agent.configuration,
          traceContext: traceHeaders({ traceId: run.traceId, rootSpanId: state.rootSpanId }),
          input: run.input,
          journal: state.steps,
          tools: action.tools,
          ephemeralCredentials: deps.meter.credentials(identity),
          constraints: { ...action.decision.constraints, maxTokens, dryRun: action.decision.constraints.dryRun || agent.configuration.dryRun },
        },
        { signal: stop, onDelta: deltas.push },
      ), stopped),
    );
    deltas.end();
    const mistake = findMistake(response.proposal);
    if (mistake !== null) return { kind: 'error', error: { code: 'model_invalid_output', message: mistake } };
    return { kind: 'ok', response, proposal: maskProposal(response.proposal, deps) };
  } catch (thrown) {
    if (timedOut() && !signal.aborted) return { kind: 'error', error: { code: 'model_unavailable', message: `The model did not answer within ${timeoutMs} ms.` } };
    return { kind: 'error', error: toStepError(thrown, state, deps) };
  } finally {
    release();
    deps.meter.revoke(action.stepId);
  }
}

/** A runtime that does not heed its signal must not hold the run (R7). */
const stopped = (): PlatformError => new PlatformError('cancelled', 'The step was stopped.');

function toStepError(thrown: unknown, state: RunState, deps: DriveDeps): StepError {
  const error = thrown instanceof PlatformError ? thrown : toPlatformError(thrown);
  if (error.code === 'internal') deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'a runtime failed unexpectedly');
  return { code: error.code, message: error.message };
}

/** `model_invalid_output` may be corrected by the model; everything else ends the run. */
const endsRun = (error: StepError): boolean => error.code !== 'model_invalid_output';

const tightest = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));

/** A runtime may be anybody's program: its proposal is checked like any other input. */
function findMistake(proposal: Proposal): string | null {
  if (proposal.calls.length > LIMITS.toolCallsPerThink) return `More than ${LIMITS.toolCallsPerThink} tool calls in one step.`;
  if (new Set(proposal.calls.map((call) => call.id)).size < proposal.calls.length) return 'Two tool calls have the same id.';
  if (proposal.calls.some((call) => call.id.length > NAME_CHARS || call.tool.length > NAME_CHARS)) return `The name or id of a tool call has more than ${NAME_CHARS} characters.`;
  if (proposal.output === null && proposal.calls.length === 0 && proposal.thought.trim() === '') return 'The reply was empty: neither a thought, nor a tool call, nor an answer.';
  if (proposal.output !== null && proposal.calls.length > 0) return 'A step either calls tools or ends with an output, not both.';
  return null;
}

/** Arguments stay as they are but for what nothing can store: what the approver sees is what runs. */
function maskProposal(proposal: Proposal, deps: DriveDeps): Proposal {
  return {
    thought: maskText(deps.text, proposal.thought),
    calls: proposal.calls.map((call) => ({ ...call, id: toStorable(call.id), tool: toStorable(call.tool), args: toStorable(call.args) })),
    output: proposal.output === null ? null : deps.text.mask(proposal.output),
  };
}

function eventsOf(step: ThinkStep, seconds: number, calls: number): Fragment['events'] {
  const thought = step.proposal?.thought ?? '';
  return [
    ...(calls === 0
      ? []
      : [
          {
            type: 'model_call' as const,
            data: {
              step: step.no,
              model: step.model,
              prompt_tokens: step.usage.promptTokens,
              completion_tokens: step.usage.completionTokens,
              cost_usd: step.usage.costUsdMicros / 1_000_000,
              latency_ms: Math.round(seconds * 1_000),
              ...(step.error === null ? {} : { error: { code: step.error.code, message: step.error.message } }),
            },
          },
        ]),
    ...(thought === '' ? [] : [{ type: 'step_thought' as const, data: { content: thought, step: step.no } }]),
  ];
}

/** What was reserved beyond what was used goes back to the counters. */
function settle(action: ThinkAction, tokens: number): Fragment['settlements'] {
  return action.decision.reservations.filter((r) => r.unit === 'tokens').map((r) => ({ counter: r.counter, delta: tokens - r.amount }));
}
