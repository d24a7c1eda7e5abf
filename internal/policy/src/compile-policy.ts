import { hashJson, LIMITS, PlatformError } from '@openeaap/kernel';
import type { ApprovalDemand, JsonObject, JsonValue } from '@openeaap/kernel';
import type { PiiRule } from '@openeaap/security';
import { POLICY_LIMITS } from './limits.ts';
import { parsePolicy } from './parse-policy.ts';
import { createRuleIndex } from './rule-index.ts';
import type { RuleIndex } from './rule-index.ts';
import type { PolicyRules } from './rules.ts';
import type { PolicyFile } from './yaml-reader.ts';

export interface PolicyOptions {
  /** For gates without a `timeout`, in milliseconds; one hour unless said otherwise. */
  readonly approvalTimeoutMs?: number;
}

/** A policy ready to decide. It never changes; a reload makes another. */
export interface CompiledPolicy {
  /** `sha256:` and 16 hex digits of what the policy says; comments, blanks and the split into files do not count. */
  readonly version: string;
  readonly piiEnabled: boolean;
  /** For `createMasker`; each regex was accepted by RE2. */
  readonly piiRules: readonly PiiRule[];
  /** For this room's own functions. */
  readonly rules: PolicyRules;
  readonly index: RuleIndex;
}

/**
 * Compiles the files of a policy, merged in the given order.
 *
 * @throws PlatformError policy_invalid: `file:line:column: what is wrong; the cure`. `details` holds `file`,
 *   `line`, `column` of the first problem and `problems`, the texts of the first 20. A policy without any
 *   section is refused too: a platform without a policy must not start (R9).
 */
export function compilePolicy(files: readonly PolicyFile[], options: PolicyOptions = {}): CompiledPolicy {
  if (files.length > POLICY_LIMITS.files) {
    throw new PlatformError('policy_invalid', `The policy has ${files.length} files; at most ${POLICY_LIMITS.files} are allowed.`);
  }
  const { rules, sections } = parsePolicy(files, { approvalTimeoutMs: options.approvalTimeoutMs ?? LIMITS.approvalTimeoutMs });
  if (sections === 0) {
    throw new PlatformError('policy_invalid', 'No policy loaded: refuse to start. Put at least one *.yaml file with a section such as approval_gates or rbac in the policy folder.');
  }
  return {
    version: `sha256:${hashJson(toCanonical(rules)).slice(0, 16)}`,
    piiEnabled: rules.piiEnabled,
    piiRules: rules.piiRules,
    rules,
    index: createRuleIndex(rules),
  };
}

/** What the policy says, as JSON: the thing that the version is the hash of. */
function toCanonical(rules: PolicyRules): JsonObject {
  return {
    pii_masking: { enabled: rules.piiEnabled, rules: rules.piiRules.map((rule) => ({ ...rule })) },
    approval_gates: rules.gates.map((gate) => ({
      id: gate.id,
      tool_pattern: gate.pattern.source,
      condition: gate.condition.source,
      ...toCanonicalDemand(gate),
    })),
    rbac: rules.roles?.map((role) => ({ name: role.name, members: role.members, tools: role.tools.map(sourceOf), agents: role.agents.map(sourceOf) })) ?? null,
    scopes: rules.scopes.map((scope) => ({
      name: scope.name,
      tool_pattern: scope.pattern.source,
      field: scope.field,
      allow_cidr: scope.allow.map((cidr) => cidr.text),
      deny_cidr: scope.deny.map((cidr) => cidr.text),
    })),
    rules: rules.rules.map((rule) => ({
      name: rule.name,
      effect: rule.effect,
      on: rule.on,
      tool_pattern: rule.pattern.source,
      condition: rule.condition.source,
      reason: rule.reason,
    })),
    quotas: rules.quotas.map(({ pattern, ...quota }) => ({ ...quota, pattern: pattern?.source ?? null })),
    constraints: { ...rules.constraints },
    ...(rules.uncertainOutcome === null ? {} : { uncertain_outcome: toCanonicalDemand(rules.uncertainOutcome) }),
  } satisfies Record<string, JsonValue>;
}

/** Keys that came later stand there only where they say something, so that a policy keeps the version that runs are pinned to. */
function toCanonicalDemand(demand: ApprovalDemand): JsonObject {
  return {
    approvers: demand.approvers,
    timeout_ms: demand.timeoutMs,
    forbid_requester: demand.forbidRequester,
    ...(demand.minApprovals === 1 ? {} : { min_approvals: demand.minApprovals }),
    ...(demand.escalation.length === 0 ? {} : { escalation: demand.escalation.map((stage) => ({ after_ms: stage.afterMs, approvers: stage.approvers })) }),
  };
}

function sourceOf(glob: { readonly source: string }): string {
  return glob.source;
}
