import type { ActStep, ProposedCall, ThinkStep } from '@openeaap/kernel';
import { LIMITS, isJsonObject } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import { actIntent, actOutcome, approvalRequest } from './facts.ts';
import type { Fragment } from './fragment.ts';
import { EMPTY, merge } from './fragment.ts';
import { decideAct, denialCode, interventionOf, newApproval, resultEvent, toDryRun } from './plan-acts.ts';
import type { RunState } from './run-state.ts';
import { isDryRun } from './run-state.ts';
import { hasEffect } from './unknown-outcome.ts';

/**
 * Turns what a runtime proposed into acts: checked against the tool's schema before the PDP sees
 * it, then decided. A call that cannot be made is told to the model, which may correct itself.
 */
export async function admitCalls(state: RunState, think: ThinkStep, deps: DriveDeps): Promise<Fragment> {
  let fragment = EMPTY;
  for (const [index, call] of (think.proposal?.calls ?? []).entries()) {
    fragment = merge(fragment, await admitCall(state, think, call, think.no + 1 + index, deps));
  }
  return fragment;
}

async function admitCall(state: RunState, think: ThinkStep, call: ProposedCall, no: number, deps: DriveDeps): Promise<Fragment> {
  const now = deps.clock.now();
  const act: ActStep = {
    kind: 'act',
    no,
    id: deps.ids.newId(),
    policyVersion: state.run.policyVersion,
    agentVersion: state.agent.version,
    startedAt: now,
    finishedAt: now,
    thinkNo: think.no,
    callId: call.id,
    tool: call.tool,
    args: call.args,
    decision: null,
    approvalId: null,
    status: 'invalid',
    attempts: 0,
    lineage: [],
    result: null,
    suspicious: false,
    error: null,
  };
  const mistake = findMistake(state, think, call, deps);
  if (mistake !== null) return refuse(state, { ...act, error: { code: 'invalid_input', message: mistake } });
  const verdict = await decideAct(state, { no, tool: call.tool, args: call.args, granted: false }, deps);
  if (verdict === null) return refuse(state, { ...act, error: { code: 'not_found', message: `There is no tool "${call.tool}".` } });
  const { decision } = verdict;
  if (decision.effect !== 'deny' && isDryRun(state, decision) && hasEffect(call.tool, deps.tools)) {
    const shown = toDryRun({ ...act, decision }, now);
    return merge({ steps: [shown], events: [verdict.event, resultEvent(shown)], audit: [actIntent(state, shown), actOutcome(state, shown, 'not_executed', null)] });
  }
  switch (decision.effect) {
    case 'deny': {
      const denied: ActStep = { ...act, decision, status: 'denied', error: { code: denialCode(decision), message: decision.reason } };
      const intervention = { type: 'governance_intervention' as const, data: { reason: decision.reason, approval_id: null, effect: 'deny', rule: decision.rule, tool: call.tool, input: call.args, step: no } };
      return merge({ steps: [denied], events: [verdict.event, intervention, resultEvent(denied)], audit: [actIntent(state, denied)] });
    }
    case 'require_approval': {
      const approval = newApproval(state, act, { kind: 'gate', rule: decision.rule, reason: decision.reason, demand: decision.approval }, deps);
      const held: ActStep = { ...act, decision, status: 'waiting_approval', approvalId: approval.id, finishedAt: null };
      return merge({
        steps: [held],
        openApprovals: [approval],
        events: [verdict.event, interventionOf(approval)],
        audit: [actIntent(state, held), approvalRequest(state, approval, act.args)],
      });
    }
    case 'allow':
      return merge({ steps: [{ ...act, decision, status: 'intended', finishedAt: null }], events: [verdict.event] });
  }
}

const refuse = (state: RunState, act: ActStep): Fragment => merge({ steps: [act], events: [resultEvent(act)], audit: [actIntent(state, act)] });

/** null: the call can be put to the PDP. */
function findMistake(state: RunState, think: ThinkStep, call: ProposedCall, deps: DriveDeps): string | null {
  if (!state.agent.configuration.tools.includes(call.tool) || deps.tools.find(call.tool) === null) {
    return `There is no tool "${call.tool}". The tools are: ${state.agent.configuration.tools.join(', ') || 'none'}.`;
  }
  if (think.decision.effect === 'allow' && think.decision.constraints.blockedTools.includes(call.tool)) return `The tool "${call.tool}" is blocked by policy.`;
  if (call.malformed !== undefined) return `The arguments of "${call.tool}" are not JSON: ${call.malformed}`;
  // Tools take objects: anything else would be shown to the approver and not be what runs.
  if (!isJsonObject(call.args)) return `The arguments of "${call.tool}" must be one JSON object.`;
  if (Buffer.byteLength(JSON.stringify(call.args)) > LIMITS.toolArgumentsBytes) return `The arguments of "${call.tool}" are larger than ${LIMITS.toolArgumentsBytes} bytes.`;
  return deps.tools.validate(call.tool, call.args);
}
