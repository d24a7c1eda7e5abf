import type { ApprovalDemand, Decision, DecisionRequest } from '@openeaap/kernel';
import { NO_CONSTRAINTS } from '@openeaap/kernel';
import type { PolicyPort } from '@openeaap/orchestrator';

/** A policy whose answers a test decides; everything asked of it is kept. */
export interface ScriptedPolicy {
  readonly port: PolicyPort;
  readonly asked: DecisionRequest[];
  decide: (request: DecisionRequest) => Decision;
  uncertainOutcome: ApprovalDemand | null;
  /** Versions that can be loaded. */
  readonly known: Set<string>;
  current: string;
}

export const allow = (rest: Partial<Decision & { effect: 'allow' }> = {}): Decision => ({
  effect: 'allow',
  constraints: NO_CONSTRAINTS,
  reservations: [],
  rule: 'test.allow',
  reason: 'The test allows it.',
  policyVersion: 'p1',
  ...rest,
});

export const deny = (rule = 'test.deny'): Decision => ({ effect: 'deny', rule, reason: 'The test denies it.', policyVersion: 'p1' });

export const gate = (demand: Partial<ApprovalDemand> = {}): Decision => ({
  effect: 'require_approval',
  approval: { approvers: ['group:security-ops'], timeoutMs: 3_600_000, forbidRequester: false, minApprovals: 1, escalation: [], ...demand },
  reservations: [],
  rule: 'approval_gates[0]',
  reason: 'A person decides.',
  policyVersion: 'p1',
});

/** Everything is allowed but these tools, which wait for a person. */
export const gateTools =
  (tools: readonly string[], demand: Partial<ApprovalDemand> = {}) =>
  (request: DecisionRequest): Decision =>
    request.kind === 'act' && tools.includes(request.tool.name) ? gate(demand) : allow();

export function createScriptedPolicy(): ScriptedPolicy {
  const policy: ScriptedPolicy = {
    asked: [],
    decide: () => allow(),
    uncertainOutcome: null,
    known: new Set(['p1']),
    current: 'p1',
    port: {
      currentVersion: () => policy.current,
      load: async (_tenantId, version) =>
        policy.known.has(version)
          ? {
              version,
              mayUse: () => true,
              uncertainOutcome: policy.uncertainOutcome,
              decide: (request) => {
                policy.asked.push(request);
                return policy.decide(request);
              },
            }
          : null,
    },
  };
  return policy;
}
