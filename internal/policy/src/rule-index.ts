import type { Glob } from './glob.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { EffectRule, Gate, PolicyRules, Quota, Role, Scope } from './rules.ts';

/** Everything that concerns one tool, each list in the order of the files. */
export interface ToolRules {
  readonly denies: readonly EffectRule[];
  readonly scopes: readonly Scope[];
  readonly gates: readonly Gate[];
  readonly allows: readonly EffectRule[];
  readonly quotas: readonly Quota[];
}

/** What a decision looks up. Its cost depends on what matches, not on the size of the policy. */
export interface RuleIndex {
  readonly thinkDenies: readonly EffectRule[];
  readonly thinkAllows: readonly EffectRule[];
  /** Quotas with `tokens_per_run`. */
  readonly runQuotas: readonly Quota[];
  forTool(name: string): ToolRules;
  rolesOf(principal: { readonly userId: string; readonly groups: readonly string[] }): readonly Role[];
}

export function createRuleIndex(rules: PolicyRules): RuleIndex {
  const thinks = rules.rules.filter((rule) => rule.on !== 'act');
  const acts = rules.rules.filter((rule) => rule.on !== 'think');
  const denies = byPattern(acts.filter((rule) => rule.effect === 'deny'), (rule) => rule.pattern);
  const allows = byPattern(acts.filter((rule) => rule.effect === 'allow'), (rule) => rule.pattern);
  const scopes = byPattern(rules.scopes, (scope) => scope.pattern);
  const gates = byPattern(rules.gates, (gate) => gate.pattern);
  const quotas = byPattern(rules.quotas, (quota) => quota.pattern);
  const roles = byMember(rules.roles ?? []);
  // Belongs to this policy alone; cleared when full, so that made-up tool names cannot fill the memory.
  const memo = new Map<string, ToolRules>();

  return {
    thinkDenies: thinks.filter((rule) => rule.effect === 'deny'),
    thinkAllows: thinks.filter((rule) => rule.effect === 'allow'),
    runQuotas: rules.quotas.filter((quota) => quota.tokensPerRun !== null),
    forTool: (name) => {
      const known = memo.get(name);
      if (known !== undefined) return known;
      const found: ToolRules = { denies: denies(name), scopes: scopes(name), gates: gates(name), allows: allows(name), quotas: quotas(name) };
      if (memo.size >= POLICY_LIMITS.memoTools) memo.clear();
      memo.set(name, found);
      return found;
    },
    rolesOf: roles,
  };
}

/** A map for exact names and a list for wildcards; the answer keeps the order of `entries`. */
function byPattern<T>(entries: readonly T[], patternOf: (entry: T) => Glob | null): (name: string) => readonly T[] {
  const exact = new Map<string, [number, T][]>();
  const wild: [number, T][] = [];
  for (const [order, entry] of entries.entries()) {
    const pattern = patternOf(entry);
    if (pattern?.exact !== true) wild.push([order, entry]);
    else if (exact.has(pattern.source)) exact.get(pattern.source)?.push([order, entry]);
    else exact.set(pattern.source, [[order, entry]]);
  }
  return (name) => {
    const matching = wild.filter(([, entry]) => patternOf(entry)?.matches(name) ?? true);
    return [...(exact.get(name) ?? []), ...matching].sort(([a], [b]) => a - b).map(([, entry]) => entry);
  };
}

function byMember(roles: readonly Role[]): RuleIndex['rolesOf'] {
  const members = new Map<string, Role[]>();
  for (const role of roles) {
    for (const member of new Set(role.members)) {
      const list = members.get(member);
      if (list === undefined) members.set(member, [role]);
      else list.push(role);
    }
  }
  const everyone = members.get('*') ?? [];
  return (principal) => {
    const found = [...everyone, ...(members.get(`user:${principal.userId}`) ?? [])];
    for (const group of principal.groups) found.push(...(members.get(`group:${group}`) ?? []));
    return found;
  };
}
