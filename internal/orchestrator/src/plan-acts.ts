import type { ActStep, Approval, ApprovalDemand, Decision, JsonValue, NewApproval, PauseReason, StepError } from '@openeaap/kernel';
import { LIMITS, grantersOf, hashCall, isRepeatable, nextLookAt } from '@openeaap/kernel';
import type { Verdict } from './ask-policy.ts';
import { askPolicy } from './ask-policy.ts';
import type { DriveDeps } from './deps.ts';
import { actIntent, actOutcome, approvalExpired, approvalRequest } from './facts.ts';
import type { Fragment } from './fragment.ts';
import { EMPTY, merge } from './fragment.ts';
import type { Plan } from './plan.ts';
import { toRequestBase } from './plan-next.ts';
import type { RunState } from './run-state.ts';
import { approvalOf, isDryRun, openActs, withSteps } from './run-state.ts';
import { hasEffect } from './unknown-outcome.ts';

/** What became of the open acts: all settled, or there is something to do or to wait for. */
export type ActsPlan = { readonly kind: 'settled'; readonly state: RunState; readonly fragment: Fragment } | { readonly kind: 'plan'; readonly plan: Plan };

/** What one open act comes to now. */
type Look =
  | { readonly kind: 'ready' }
  | { readonly kind: 'wait'; readonly reason: PauseReason; readonly until: Date | null }
  | { readonly kind: 'changed'; readonly step: ActStep; readonly fragment: Fragment };

/**
 * Looks at every open act of the newest think: applies decisions and expiries, opens questions for
 * calls whose outcome is unknown, and starts what can be made. Reads run together; anything with
 * an effect runs alone and in the order in which it was proposed.
 */
export async function planActs(state: RunState, deps: DriveDeps): Promise<ActsPlan> {
  let current = state;
  let fragment = EMPTY;
  const ready: ActStep[] = [];
  const waits: { readonly reason: PauseReason; readonly until: Date | null }[] = [];
  for (const act of openActs(state)) {
    const look = await lookAt(current, act, deps);
    if (look.kind === 'ready') ready.push(act);
    else if (look.kind === 'wait') waits.push(look);
    else {
      current = { ...current, steps: withSteps(current.steps, [look.step]) };
      fragment = merge(fragment, look.fragment);
      if (look.step.status === 'intended') ready.push(look.step);
      if (look.step.status === 'waiting_resolution') waits.push({ reason: 'uncertain_outcome', until: expiryOf(look.fragment, deps) });
    }
  }
  if (ready.length > 0) return { kind: 'plan', plan: startActs(current, chooseBatch(ready, deps), fragment, deps) };
  if (waits.length > 0) return { kind: 'plan', plan: pause(current, waits, fragment) };
  return { kind: 'settled', state: current, fragment };
}

async function lookAt(state: RunState, act: ActStep, deps: DriveDeps): Promise<Look> {
  switch (act.status) {
    case 'intended':
      return { kind: 'ready' };
    case 'waiting_approval':
      return lookAtGate(state, act, deps);
    case 'started':
      return state.prepared.has(act.no) ? { kind: 'ready' } : lookAtUnknown(state, act, deps);
    case 'waiting_resolution':
      return lookAtResolution(state, act, deps);
    case 'invalid':
    case 'denied':
    case 'done':
    case 'failed':
    case 'rejected':
    case 'expired':
    case 'dry_run':
      return { kind: 'changed', step: act, fragment: EMPTY };
  }
}

/** R6: what runs is the stored call, or the approver's edit of it; the PDP is asked once more either way (R9). */
async function lookAtGate(state: RunState, act: ActStep, deps: DriveDeps): Promise<Look> {
  const approval = approvalOf(state, act);
  if (approval === undefined) return settle(state, act, { status: 'denied', error: { code: 'internal', message: 'The approval of this call is missing.' } }, deps);
  if (approval.status === 'rejected') {
    const message = `Rejected by ${approval.decidedBy ?? 'unknown'}: ${approval.comment ?? 'no reason given'}`;
    return settle(state, act, { status: 'rejected', error: { code: 'approval_rejected', message } }, deps);
  }
  if (approval.status === 'approved' && !isFor(approval, act)) return refuseForeign(state, act, deps);
  if (approval.status === 'approved') return allowAgain(state, act, approval.editedArgs ?? approval.args, deps);
  // By the clock of the store alone, which also judges decisions: what it still calls pending can still be decided.
  if (approval.status === 'pending') return { kind: 'wait', reason: 'approval', until: nextLookAt(approval) };
  const message = 'The approval expired: nobody decided in time. The call was not made; it may be proposed again.';
  const expired = settle(state, act, { status: 'expired', error: { code: 'approval_expired', message } }, deps);
  return { ...expired, fragment: merge(expireApproval(state, approval), expired.fragment) };
}

/**
 * R6: is what was approved exactly this call, and by enough people? The store keeps it so; a row that was
 * changed by other means grants nothing. A node of an older version leaves no votes, and beside an edit the
 * hash of the unedited call.
 */
function isFor(approval: Approval, act: ActStep): boolean {
  const hashOf = (args: JsonValue): string => hashCall({ tool: act.tool, args, runId: approval.runId, stepNo: act.no, policyVersion: approval.policyVersion });
  if (approval.tool !== act.tool) return false;
  if (approval.votes.length === 0) return approval.minApprovals === 1 && approval.callHash === hashOf(approval.args);
  return approval.callHash === hashOf(approval.editedArgs ?? approval.args) && grantersOf(approval).length >= approval.minApprovals;
}

const refuseForeign = (state: RunState, act: ActStep, deps: DriveDeps): Look =>
  settle(state, act, { status: 'denied', error: { code: 'hash_mismatch', message: 'What was approved is another call; nothing was made.' } }, deps);

/** A person has said that the call may be made (again): the PDP has the last word. */
async function allowAgain(state: RunState, act: ActStep, args: JsonValue, deps: DriveDeps): Promise<Look> {
  const verdict = await decideAct(state, { no: act.no, tool: act.tool, args, granted: true }, deps);
  if (verdict === null || verdict.decision.effect === 'deny') {
    const refused = { ...act, args, decision: verdict?.decision ?? act.decision };
    if (verdict === null) return settle(state, refused, { status: 'denied', error: { code: 'policy_denied', message: `The tool "${act.tool}" is no longer there.` } }, deps);
    const error: StepError = { code: denialCode(verdict.decision), message: `Approved, but the policy now denies it: ${verdict.decision.reason}` };
    const denied = settle(state, refused, { status: 'denied', error }, deps);
    return { ...denied, fragment: merge({ events: [verdict.event], audit: [actIntent(state, denied.step)] }, denied.fragment) };
  }
  if (isDryRun(state, verdict.decision) && hasEffect(act.tool, deps.tools)) {
    const shown = toDryRun({ ...act, args }, deps.clock.now());
    return { kind: 'changed', step: shown, fragment: merge({ steps: [shown], events: [verdict.event, resultEvent(shown)], audit: [actOutcome(state, shown, 'not_executed', null)] }) };
  }
  const step: ActStep = { ...act, args, status: 'intended' };
  return { kind: 'changed', step, fragment: merge({ steps: [step], events: [verdict.event] }) };
}

/**
 * R4: begun, and nobody knows how it ended. It is made again, with the same idempotency key, only
 * when a repeat cannot do harm; otherwise a person says what happened.
 */
function lookAtUnknown(state: RunState, act: ActStep, deps: DriveDeps): Look {
  const spec = deps.tools.find(act.tool);
  if (spec !== null && isRepeatable(spec)) {
    if (act.attempts < LIMITS.toolAttempts) return { kind: 'ready' };
    const error = act.error ?? { code: 'internal', message: `The call was begun ${act.attempts} times and never came to an end.` };
    return settle(state, act, { status: 'failed', error, outcome: hasEffect(act.tool, deps.tools) ? 'unknown' : 'error' }, deps);
  }
  const reason = `The outcome of ${act.tool} is not known: ${act.error?.message ?? 'the node that made the call died before it could write down the result.'} Repeating it could do it twice.`;
  const question = newApproval(state, act, { kind: 'uncertain', rule: 'R4.uncertain_outcome', reason, demand: uncertainDemand(state, act.decision) }, deps);
  const step: ActStep = { ...act, status: 'waiting_resolution', approvalId: question.id };
  return {
    kind: 'changed',
    step,
    fragment: merge({
      steps: [step],
      openApprovals: [question],
      events: [interventionOf(question)],
      audit: [actOutcome(state, step, 'unknown', null), approvalRequest(state, question, act.args)],
    }),
  };
}

/**
 * Whoever could open the gate, and nobody else, may say what happened. Without a gate those whom the policy
 * names under `uncertain_outcome`; if it names nobody, whoever may decide approvals (`*`).
 */
function uncertainDemand(state: RunState, decision: Decision | null): ApprovalDemand {
  if (decision?.effect === 'require_approval') return { ...decision.approval, timeoutMs: LIMITS.approvalTimeoutCeilingMs };
  return state.policy?.uncertainOutcome ?? { approvers: ['*'], forbidRequester: false, timeoutMs: LIMITS.approvalTimeoutCeilingMs, minApprovals: 1, escalation: [] };
}

async function lookAtResolution(state: RunState, act: ActStep, deps: DriveDeps): Promise<Look> {
  const approval = approvalOf(state, act);
  if (approval?.status === 'pending') return { kind: 'wait', reason: 'uncertain_outcome', until: nextLookAt(approval) };
  switch (approval?.verdict) {
    case 'retry':
      return isFor(approval, act) ? allowAgain(state, act, act.args, deps) : refuseForeign(state, act, deps);
    case 'mark_done':
      return settle(state, { ...act, result: { marked_done_by: approval.decidedBy, comment: approval.comment } }, { status: 'done', error: null, outcome: 'ok' }, deps);
    case 'fail': {
      const message = `${approval.decidedBy ?? 'unknown'} says the call did not succeed: ${approval.comment ?? 'no comment'}`;
      return settle(state, act, { status: 'failed', error: { code: 'tool_failed', message }, outcome: 'error' }, deps);
    }
    case 'approve':
    case 'edit':
    case 'reject':
    case null:
    case undefined: {
      const message = 'Nobody said in time what became of the call; its outcome stays unknown.';
      const settled = settle(state, act, { status: 'failed', error: { code: 'approval_expired', message }, outcome: 'unknown' }, deps);
      return approval === undefined ? settled : { ...settled, fragment: merge(expireApproval(state, approval), settled.fragment) };
    }
  }
}

/** How an act ends without a call of its own; `outcome` is for the audit, by default `not_executed`. */
interface Ending {
  readonly status: ActStep['status'];
  readonly error: StepError | null;
  readonly outcome?: 'ok' | 'error' | 'unknown';
}

/** Ends an act without (or after) a call and tells everyone: the journal, the watchers, the audit. */
function settle(state: RunState, act: ActStep, ending: Ending, deps: Pick<DriveDeps, 'clock'>): Look & { readonly kind: 'changed' } {
  const step: ActStep = { ...act, status: ending.status, error: ending.error, finishedAt: deps.clock.now() };
  return {
    kind: 'changed',
    step,
    fragment: merge({ steps: [step], events: [resultEvent(step)], audit: [actOutcome(state, step, ending.outcome ?? 'not_executed', null)] }),
  };
}

export const denialCode = (decision: Decision): 'quota_exceeded' | 'policy_denied' => (decision.rule.startsWith('quota.') ? 'quota_exceeded' : 'policy_denied');

/** In a dry run an effect is recorded as what would have been done. */
export function toDryRun(act: ActStep, now: Date): ActStep {
  return { ...act, status: 'dry_run', finishedAt: now, result: { dry_run: true, would_call: { tool: act.tool, input: act.args } } };
}

export function resultEvent(act: ActStep): Fragment['events'][number] {
  const base = { tool: act.tool, step: act.no, status: act.status };
  return { type: 'tool_result', data: act.error === null ? { output: act.result, ...base } : { output: null, error: { code: act.error.code, message: act.error.message }, ...base } };
}

function expireApproval(state: RunState, approval: Approval): Fragment {
  // `decidedAt` is set once the expiry has been written.
  if (approval.decidedAt !== null) return EMPTY;
  return merge({
    expireApprovals: [approval.id],
    events: [{ type: 'approval_decided', data: { approval_id: approval.id, status: 'expired', step: approval.stepNo, tool: approval.tool } }],
    audit: [approvalExpired(state, approval.id, approval.stepNo)],
  });
}

/** All reads together, or the first call with an effect alone; never past an effect that comes first. */
function chooseBatch(ready: readonly ActStep[], deps: DriveDeps): readonly ActStep[] {
  const isRead = (act: ActStep): boolean => deps.tools.find(act.tool)?.effect === 'read';
  const firstEffect = ready.findIndex((act) => !isRead(act));
  if (firstEffect === 0) return ready.slice(0, 1);
  return firstEffect === -1 ? ready : ready.slice(0, firstEffect);
}

function startActs(state: RunState, acts: readonly ActStep[], fragment: Fragment, deps: DriveDeps): Plan {
  const startedAt = deps.clock.now();
  const started = acts.map((act): ActStep => ({ ...act, status: 'started', attempts: act.attempts + 1, startedAt, error: null }));
  return {
    action: { kind: 'act', acts: started },
    fragment: merge(fragment, {
      steps: started,
      events: started.map((act) => ({
        type: 'tool_call' as const,
        data: { tool: act.tool, input: act.args, step: act.no, ...(act.attempts > 1 ? { attempt: act.attempts } : {}) },
      })),
      audit: started.map((act) => actIntent(state, act)),
    }),
    state: { ...state, steps: withSteps(state.steps, started), prepared: new Set([...state.prepared, ...started.map((act) => act.no)]) },
  };
}

function pause(state: RunState, waits: readonly { readonly reason: PauseReason; readonly until: Date | null }[], fragment: Fragment): Plan {
  const untils = waits.flatMap((wait) => (wait.until === null ? [] : [wait.until.getTime()]));
  const wakeAt = untils.length === 0 ? null : new Date(Math.min(...untils));
  const reason = waits.some((wait) => wait.reason === 'uncertain_outcome') ? 'uncertain_outcome' : 'approval';
  return {
    action: { kind: 'stop', end: { status: 'paused', reason, wakeAt } },
    fragment: merge(fragment, {
      events: [{ type: 'run_paused', data: { run_id: state.run.id, status: 'paused', reason, wake_at: wakeAt?.toISOString() ?? null } }],
    }),
    state,
  };
}

/** When a question that is only now being opened must be looked at again. */
const expiryOf = (fragment: Fragment, deps: DriveDeps): Date | null => {
  const timeouts = fragment.openApprovals.map((approval) => approval.escalation[0]?.afterMs ?? approval.timeoutMs);
  return timeouts.length === 0 ? null : new Date(deps.clock.now().getTime() + Math.min(...timeouts));
};

/** Asks the PDP about one call; null: the tool is not there. */
export async function decideAct(
  state: RunState,
  call: { readonly no: number; readonly tool: string; readonly args: JsonValue; readonly granted: boolean },
  deps: DriveDeps,
): Promise<Verdict | null> {
  const spec = deps.tools.find(call.tool);
  if (spec === null) return null;
  const tool = { name: spec.name, version: spec.version, effect: spec.effect };
  return askPolicy(state, { ...toRequestBase(state, call.no, deps), kind: 'act', tool, input: call.args }, deps, { granted: call.granted });
}

export function newApproval(
  state: RunState,
  act: Pick<ActStep, 'no' | 'tool' | 'args'>,
  what: { readonly kind: NewApproval['kind']; readonly rule: string; readonly reason: string; readonly demand: ApprovalDemand },
  deps: DriveDeps,
): NewApproval {
  return {
    ...what.demand,
    id: deps.ids.newId(),
    stepNo: act.no,
    kind: what.kind,
    tool: act.tool,
    args: act.args,
    callHash: hashCall({ tool: act.tool, args: act.args, runId: state.run.id, stepNo: act.no, policyVersion: state.run.policyVersion }),
    rule: what.rule,
    reason: what.reason,
    requesterId: state.run.principal.userId,
    policyVersion: state.run.policyVersion,
  };
}

export function interventionOf(approval: NewApproval): Fragment['events'][number] {
  return {
    type: 'governance_intervention',
    data: {
      reason: approval.reason,
      approval_id: approval.id,
      kind: approval.kind,
      tool: approval.tool,
      input: approval.args,
      step: approval.stepNo,
      rule: approval.rule,
      approvers: approval.approvers,
      min_approvals: approval.minApprovals,
      ...(approval.escalation.length === 0 ? {} : { escalation: approval.escalation.map((stage) => ({ after_ms: stage.afterMs, approvers: stage.approvers })) }),
      call_hash: approval.callHash,
    },
  };
}
