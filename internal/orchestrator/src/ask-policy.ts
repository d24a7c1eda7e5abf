import type { Decision, DecisionRequest, NewRunEvent } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import type { PinnedPolicy } from './port.ts';
import type { RunState } from './run-state.ts';
import { inSpan } from './spans.ts';

export interface Verdict {
  readonly decision: Decision;
  readonly event: NewRunEvent;
}

/**
 * R9: THE call of the PDP, for every think and every act of every runtime. What it allows with a
 * quota is taken from the counters here, before anything is done; a counter that is spent is a denial.
 */
export async function askPolicy(
  state: RunState,
  request: DecisionRequest,
  deps: DriveDeps,
  /** `granted`: a person has approved the call, so what a gate holds is taken from the counters now. */
  options: { readonly granted: boolean } = { granted: false },
): Promise<Verdict> {
  return inSpan('PDP.Evaluate', { 'pdp.kind': request.kind, 'pdp.tool': request.kind === 'act' ? request.tool.name : '' }, async (span) => {
    const decision = await reserve(state, evaluatePolicy(state.policy, state.run.policyVersion, request), deps, options.granted);
    span.setAttributes({ 'pdp.effect': decision.effect, 'pdp.rule': decision.rule });
    const passes = decision.effect === 'allow' || (decision.effect === 'require_approval' && options.granted);
    if (!passes) deps.observe({ kind: 'blocked', rule: decision.rule, userGroup: state.run.principal.groups[0] ?? 'none' });
    return { decision, event: toEvent(request, decision, options.granted) };
  });
}

/** R9: the one place where a policy is asked. No policy, an error, or anything but a well-formed answer is a denial. */
export function evaluatePolicy(policy: PinnedPolicy | null, policyVersion: string, request: DecisionRequest): Decision {
  const denied = (reason: string): Decision => ({ effect: 'deny', rule: 'pdp.error', reason, policyVersion });
  if (policy === null) return denied('The policy that this run is pinned to cannot be found.');
  try {
    const decision = policy.decide(request);
    return isWellFormed(decision) ? decision : denied('The policy gave no usable answer.');
  } catch {
    return denied('The policy could not be evaluated.');
  }
}

/** The type says that it always is; a policy is written and loaded by others. */
function isWellFormed(decision: unknown): decision is Decision {
  if (!isRecord(decision) || typeof decision['rule'] !== 'string' || typeof decision['reason'] !== 'string') return false;
  const { effect, constraints, approval, reservations } = decision;
  if (effect === 'deny') return true;
  if (!Array.isArray(reservations)) return false;
  if (effect === 'allow') {
    return isRecord(constraints) && Array.isArray(constraints['blockedTools']) && typeof constraints['dryRun'] === 'boolean' && Number.isFinite(constraints['maxTokens']);
  }
  return effect === 'require_approval' && isDemand(approval);
}

function isDemand(approval: unknown): boolean {
  if (!isRecord(approval) || !isNonEmptyArray(approval['approvers']) || !isPositive(approval['timeoutMs']) || typeof approval['forbidRequester'] !== 'boolean') return false;
  const { minApprovals, escalation } = approval;
  return Number.isSafeInteger(minApprovals) && isPositive(minApprovals) && Array.isArray(escalation) && escalation.every((stage) => isRecord(stage) && isNonEmptyArray(stage['approvers']) && isPositive(stage['afterMs']));
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNonEmptyArray = (value: unknown): boolean => Array.isArray(value) && value.length > 0;
const isPositive = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value > 0;

async function reserve(state: RunState, decision: Decision, deps: DriveDeps, granted: boolean): Promise<Decision> {
  if (decision.effect === 'deny' || decision.reservations.length === 0) return decision;
  if (decision.effect === 'require_approval' && !granted) return decision;
  const result = await deps.store.reserveQuota(state.run.tenantId, decision.reservations);
  if (result.kind === 'granted') return decision;
  return {
    effect: 'deny',
    rule: `quota.${result.quota}`,
    reason: `The quota "${result.quota}" is used up: ${result.used} of ${result.limit}.`,
    policyVersion: decision.policyVersion,
  };
}

/** `granted` in the event: the gate that holds this call has been opened by a person. */
function toEvent(request: DecisionRequest, decision: Decision, granted: boolean): NewRunEvent {
  const base = { step: request.run.stepNo, kind: request.kind, effect: decision.effect, rule: decision.rule, reason: decision.reason, policy_version: decision.policyVersion };
  return { type: 'policy_decision', data: request.kind === 'act' ? { ...base, tool: request.tool.name, ...(granted ? { granted: true } : {}) } : base };
}
