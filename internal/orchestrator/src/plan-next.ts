import type { ActStep, Decision, DecisionRequest, JsonObject, RunError, ToolSpec } from '@openeaap/kernel';
import { LIMITS } from '@openeaap/kernel';
import { askPolicy } from './ask-policy.ts';
import type { DriveDeps } from './deps.ts';
import { actIntent, actOutcome, runEnded, thinkIntent } from './facts.ts';
import type { Fragment } from './fragment.ts';
import { merge } from './fragment.ts';
import type { Plan } from './plan.ts';
import { denialCode, planActs } from './plan-acts.ts';
import type { RunState } from './run-state.ts';
import { correctionsInARow, currentActs, lastThink, nextStepNo, openActs, tokensUsed, withSteps } from './run-state.ts';
import { hasEffect, isUncertain } from './unknown-outcome.ts';
import { taintOf } from './taint.ts';

/**
 * The next thing to do, from the journal and the signals alone: cancel, settle and make the open
 * calls, end, or think. Nothing is done here; the PDP is asked here.
 */
export async function planNext(state: RunState, deps: DriveDeps): Promise<Plan> {
  if (state.signals.cancelRequestedBy !== null) return planCancel(state, deps);
  if (state.policy === null) {
    return planFailure(state, { code: 'policy_denied', message: 'The policy that this run is pinned to cannot be found.' }, deps);
  }
  if (openActs(state).length > 0) {
    const plan = await planActs(state, deps);
    if (plan.kind !== 'settled') return plan.plan;
    const next = await planNext(plan.state, deps);
    return { ...next, fragment: merge(plan.fragment, next.fragment) };
  }
  const output = lastThink(state)?.proposal?.output ?? null;
  if (output !== null) return planCompletion(state, output);
  if (correctionsInARow(state) >= LIMITS.correctionsInARow) {
    return planFailure(state, { code: 'model_invalid_output', message: lastMistake(state) }, deps);
  }
  if (nextStepNo(state) > state.agent.configuration.maxSteps) {
    return planFailure(state, { code: 'step_budget_exceeded', message: `The agent used all of its ${state.agent.configuration.maxSteps} steps without an answer.` }, deps);
  }
  return planThink(state, deps);
}

async function planThink(state: RunState, deps: DriveDeps): Promise<Plan> {
  const stepNo = nextStepNo(state);
  const { configuration } = state.agent;
  const verdict = await askPolicy(state, { ...toRequestBase(state, stepNo, deps), kind: 'think', maxTokens: configuration.model.maxTokens }, deps);
  const fragment = merge({ events: [verdict.event], audit: [thinkIntent(state, stepNo, verdict.decision)] });
  if (verdict.decision.effect !== 'allow') {
    const failure = planFailure(state, toDenial(verdict.decision), deps);
    return { ...failure, fragment: merge(fragment, failure.fragment) };
  }
  return {
    action: { kind: 'think', stepNo, stepId: deps.ids.newId(), decision: verdict.decision, tools: visibleTools(state, verdict.decision, deps) },
    fragment,
    state,
  };
}

/** What the agent declares, the registry has, the principal may ever call and the policy does not block. */
function visibleTools(state: RunState, decision: Decision & { readonly effect: 'allow' }, deps: DriveDeps): readonly ToolSpec[] {
  const blocked = new Set(decision.constraints.blockedTools);
  return state.agent.configuration.tools.flatMap((name) => {
    const spec = deps.tools.find(name);
    const usable = spec !== null && !blocked.has(name) && state.policy?.mayUse(state.run.principal, state.agent, name) === true;
    return usable ? [spec] : [];
  });
}

export function toRequestBase(state: RunState, stepNo: number, deps: Pick<DriveDeps, 'clock' | 'tools'>): Omit<DecisionRequest, 'kind' | 'tool' | 'input' | 'maxTokens'> {
  const { run, agent } = state;
  return {
    principal: run.principal,
    agent: { id: agent.id, name: agent.name, version: agent.version },
    run: { id: run.id, stepNo, tokensUsed: tokensUsed(state) },
    taint: taintOf(state, deps.tools),
    now: deps.clock.now(),
  };
}

const toDenial = (decision: Decision): RunError => ({
  code: denialCode(decision),
  message: decision.effect === 'require_approval' ? 'Thinking cannot wait for an approval; the policy is refused here.' : decision.reason,
});

function lastMistake(state: RunState): string {
  const invalid = currentActs(state).find((act) => act.status === 'invalid');
  const detail = lastThink(state)?.error?.message ?? invalid?.error?.message ?? 'no usable reply';
  return `The model gave no usable reply ${LIMITS.correctionsInARow} times in a row. The last: ${detail}`;
}

function planCompletion(state: RunState, output: NonNullable<unknown> & RunState['run']['input']): Plan {
  return {
    action: { kind: 'stop', end: { status: 'completed', output } },
    fragment: merge({
      events: [{ type: 'run_completed', data: { output, run_id: state.run.id, status: 'completed', steps: state.steps.length } }],
      audit: [runEnded(state, 'completed', { steps: state.steps.length }, output)],
    }),
    state,
  };
}

/** R11: a run without an answer has failed, whatever friendly text the user is shown. */
export function planFailure(state: RunState, error: RunError, deps: Pick<DriveDeps, 'clock' | 'tools'>): Plan {
  const shown: RunError = error.code === 'model_unavailable' ? { ...error, fallbackText: state.agent.configuration.fallbackText } : error;
  const stopped = stopActs(state, deps);
  return {
    action: { kind: 'stop', end: { status: 'failed', error: shown } },
    fragment: merge(stopped.fragment, {
      events: [
        {
          type: 'run_failed',
          data: {
            run_id: state.run.id,
            status: 'failed',
            error: { code: shown.code, message: shown.message, ...(shown.fallbackText === undefined ? {} : { fallback_text: shown.fallbackText }) },
            ...reportOf(stopped.state, deps),
          },
        },
      ],
      audit: [runEnded(state, 'failed', { error_code: shown.code }, shown.message)],
    }),
    state: stopped.state,
  };
}

/** R7: ends the run, and says what had been done by then and what nobody can be sure of. */
function planCancel(state: RunState, deps: Pick<DriveDeps, 'clock' | 'tools'>): Plan {
  const { cancelRequestedBy, cancelReason } = state.signals;
  const error: RunError = { code: 'cancelled', message: `Cancelled by ${cancelRequestedBy ?? 'unknown'}${cancelReason === null ? '.' : `: ${cancelReason}`}` };
  const stopped = stopActs(state, deps);
  return {
    action: { kind: 'stop', end: { status: 'cancelled', error } },
    fragment: merge(stopped.fragment, {
      events: [
        {
          type: 'run_cancelled',
          data: { run_id: state.run.id, status: 'cancelled', by: cancelRequestedBy, reason: cancelReason, ...reportOf(stopped.state, deps) },
        },
      ],
      audit: [runEnded(state, 'cancelled', { by: cancelRequestedBy }, cancelReason)],
    }),
    state: stopped.state,
  };
}

/** A run that ends early leaves no act open: each is closed with what is known of it. */
function stopActs(state: RunState, deps: Pick<DriveDeps, 'clock' | 'tools'>): { readonly state: RunState; readonly fragment: Fragment } {
  const open = openActs(state);
  const stopped = open.map((act) => stopAct(state, act, deps));
  const steps = stopped.map(({ step }) => step);
  // The decision about a call that was allowed and never begun has no row yet.
  const decided = open.filter((act) => act.status === 'intended').map((act) => actIntent(state, act));
  const outcomes = stopped.map(({ step, outcome }) => actOutcome(state, step, outcome, null));
  return { state: { ...state, steps: withSteps(state.steps, steps) }, fragment: merge({ steps, audit: [...decided, ...outcomes] }) };
}

function stopAct(state: RunState, act: ActStep, deps: Pick<DriveDeps, 'clock' | 'tools'>): { readonly step: ActStep; readonly outcome: string } {
  const prepared = state.prepared.has(act.no);
  const begun = (act.status === 'started' && !prepared) || act.status === 'waiting_resolution';
  const unknown = begun && hasEffect(act.tool, deps.tools);
  const message = unknown
    ? 'The run ended while the call was under way; whether it had its effect is not known.'
    : begun
      ? 'The run ended while the call was under way.'
      : 'The run ended before the call was made.';
  // `attempts` counts calls that were made; a prepared one was not.
  const attempts = prepared ? act.attempts - 1 : act.attempts;
  return {
    step: { ...act, status: 'failed', attempts, finishedAt: deps.clock.now(), error: { code: unknown ? 'internal' : 'cancelled', message } },
    outcome: unknown ? 'unknown' : begun ? 'error' : 'not_executed',
  };
}

/** What a run that ends early had already done. */
function reportOf(state: RunState, deps: Pick<DriveDeps, 'tools'>): JsonObject {
  const acts = state.steps.filter((step): step is ActStep => step.kind === 'act');
  const name = (act: ActStep): JsonObject => ({ step: act.no, tool: act.tool });
  return {
    done: acts.filter((act) => act.status === 'done').map(name),
    uncertain: acts.filter((act) => isUncertain(act, deps.tools)).map(name),
  };
}
