import type { Decision, DecisionRequest, GovernanceConstraints } from '@openeaap/kernel';
import { checkScope } from './check-scope.ts';
import type { CompiledPolicy } from './compile-policy.ts';
import { isWellFormed } from './is-well-formed.ts';
import { reserveCalls, reserveTokens } from './reserve-quotas.ts';
import type { ToolRules } from './rule-index.ts';
import type { EffectRule, Gate, Quota } from './rules.ts';

type ActRequest = Extract<DecisionRequest, { kind: 'act' }>;
type ThinkRequest = Extract<DecisionRequest, { kind: 'think' }>;
type Denial = { readonly rule: string; readonly reason: string };

/**
 * The policy decision point: pure and total. Facts arrive in the request; nothing is looked up. Whatever
 * goes wrong inside is a denial by rule `pdp.error` (R9).
 *
 * An act: blocked tools, deny rules and scopes; then roles; then quotas known to be used up; then the first
 * approval gate in file order; then a role or an allow rule; otherwise `default` denies.
 * A think: deny rules, roles, quotas; without an rbac section thinking is allowed (`think.default`), since
 * only acts reach the world.
 * In a deny rule and a gate an error value counts as true, in an allow rule as false.
 */
export function decide(policy: CompiledPolicy, request: DecisionRequest): Decision {
  try {
    if (!isWellFormed(request)) return deny(policy, { rule: 'pdp.error', reason: 'The request to the policy decision point is malformed.' });
    return request.kind === 'think' ? decideThink(policy, request) : decideAct(policy, request);
  } catch {
    return deny(policy, { rule: 'pdp.error', reason: 'The policy decision point failed; nothing is allowed.' });
  }
}

function decideThink(policy: CompiledPolicy, request: ThinkRequest): Decision {
  const { rules } = policy;
  const denial = findDenyRule(policy.index.thinkDenies, request);
  if (denial !== null) return deny(policy, denial);

  const role = rules.roles === null ? null : findRole(policy, request);
  if (rules.roles !== null && role === null) return deny(policy, { rule: 'rbac', reason: `No role of this user may use the agent '${request.agent.name}'.` });

  const exceeded = policy.index.runQuotas.find((quota) => request.run.tokensUsed >= (quota.tokensPerRun ?? Infinity));
  if (exceeded !== undefined) return deny(policy, toQuotaDenial(exceeded));

  const constraints = constrain(policy, request);
  const asked = constraints.maxTokens === 0 ? request.maxTokens : Math.min(request.maxTokens || constraints.maxTokens, constraints.maxTokens);
  const rule = role === null ? (findAllowRule(policy.index.thinkAllows, request)?.id ?? 'think.default') : `rbac.${role}`;
  const reservations = reserveTokens(rules.quotas, request, asked);
  return { effect: 'allow', rule, reason: 'Thinking is allowed.', policyVersion: policy.version, constraints, reservations };
}

function decideAct(policy: CompiledPolicy, request: ActRequest): Decision {
  const { name } = request.tool;
  const tool = policy.index.forTool(name);
  const denial = findActDenial(policy, tool, request);
  if (denial !== null) return deny(policy, denial);

  const hasRbac = policy.rules.roles !== null;
  const role = hasRbac ? findRole(policy, request) : null;
  if (hasRbac && role === null) return deny(policy, { rule: 'rbac', reason: `No role of this user may use the tool '${name}' with the agent '${request.agent.name}'.` });

  const exceeded = policy.index.runQuotas.find((quota) => request.run.tokensUsed > (quota.tokensPerRun ?? Infinity));
  if (exceeded !== undefined) return deny(policy, toQuotaDenial(exceeded));

  const policyVersion = policy.version;
  const gate = tool.gates.find((candidate) => candidate.condition.evaluate(request) !== false);
  if (gate !== undefined) {
    return { effect: 'require_approval', rule: gate.id, reason: toGateReason(gate, name), policyVersion, approval: toDemand(gate), reservations: reserveCalls(tool.quotas, request) };
  }
  const allowed = role === null ? findAllowRule(tool.allows, request) : { id: `rbac.${role}`, reason: `The role '${role}' may use the tool '${name}'.` };
  if (allowed === null) return deny(policy, { rule: 'default', reason: `No rule of the policy allows the tool '${name}' here.` });
  return { effect: 'allow', rule: allowed.id, reason: allowed.reason, policyVersion, constraints: policy.rules.constraints, reservations: reserveCalls(tool.quotas, request) };
}

function findActDenial(policy: CompiledPolicy, tool: ToolRules, request: ActRequest): Denial | null {
  const { name } = request.tool;
  if (policy.rules.constraints.blockedTools.includes(name)) return { rule: 'constraints.blocked_tools', reason: `The policy blocks the tool '${name}'.` };
  const denial = findDenyRule(tool.denies, request);
  if (denial !== null) return denial;
  for (const scope of tool.scopes) {
    const problem = checkScope(scope, request.input);
    if (problem !== null) return { rule: `scopes.${scope.name}`, reason: `Out of scope: ${problem}.` };
  }
  return null;
}

function findDenyRule(rules: readonly EffectRule[], request: DecisionRequest): Denial | null {
  for (const rule of rules) {
    const holds = rule.condition.evaluate(request);
    if (holds === false) continue;
    const fallback = holds === 'error' ? `The rule '${rule.name}' cannot be evaluated for this request, so it applies.` : `The rule '${rule.name}' denies this.`;
    return { rule: `rules.${rule.name}`, reason: rule.reason ?? fallback };
  }
  return null;
}

function findAllowRule(rules: readonly EffectRule[], request: DecisionRequest): { readonly id: string; readonly reason: string } | null {
  const rule = rules.find((candidate) => candidate.condition.evaluate(request) === true);
  return rule === undefined ? null : { id: `rules.${rule.name}`, reason: rule.reason ?? `The rule '${rule.name}' allows this.` };
}

/** The name of the first role of this user that covers the agent and, for an act, the tool. */
function findRole(policy: CompiledPolicy, request: DecisionRequest): string | null {
  for (const role of policy.index.rolesOf(request.principal)) {
    const coversTool = request.kind === 'think' || role.tools.some((glob) => glob.matches(request.tool.name));
    if (coversTool && role.agents.some((glob) => glob.matches(request.agent.name))) return role.name;
  }
  return null;
}

/** A think may complete no more than what is left of the run's tokens. */
function constrain(policy: CompiledPolicy, request: ThinkRequest): GovernanceConstraints {
  const { constraints } = policy.rules;
  let { maxTokens } = constraints;
  for (const quota of policy.index.runQuotas) {
    const left = (quota.tokensPerRun ?? Infinity) - request.run.tokensUsed;
    maxTokens = maxTokens === 0 ? left : Math.min(maxTokens, left);
  }
  return maxTokens === constraints.maxTokens ? constraints : { ...constraints, maxTokens };
}

function toQuotaDenial(quota: Quota): Denial {
  return { rule: `quota.${quota.name}`, reason: `The run has used its ${quota.tokensPerRun ?? 0} tokens.` };
}

function toGateReason(gate: Gate, tool: string): string {
  const approvals = gate.minApprovals === 1 ? 'an approval' : `${gate.minApprovals} approvals`;
  return `The tool '${tool}' needs ${approvals} by ${gate.approvers.join(' or ')}.`;
}

function toDemand(gate: Gate): Extract<Decision, { effect: 'require_approval' }>['approval'] {
  const { approvers, timeoutMs, forbidRequester, minApprovals, escalation } = gate;
  return { approvers, timeoutMs, forbidRequester, minApprovals, escalation };
}

function deny(policy: CompiledPolicy, denial: Denial): Decision {
  return { effect: 'deny', rule: denial.rule, reason: denial.reason, policyVersion: policy.version };
}
