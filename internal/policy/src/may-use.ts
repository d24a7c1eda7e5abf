import type { CompiledPolicy } from './compile-policy.ts';

/** For whom the list of tools is made. */
export interface ToolUser {
  readonly principal: { readonly userId: string; readonly groups: readonly string[] };
  readonly agent: { readonly name: string };
}

/**
 * Has this user any right to the tool with this agent? For leaving tools out of a list (tools/list) before
 * arguments are known: conditions and scopes are not asked, except those that are always or never true.
 * True does not mean that a call will be allowed; false means that none would be.
 */
export function mayUse(policy: CompiledPolicy, user: ToolUser, toolName: string): boolean {
  if (policy.rules.constraints.blockedTools.includes(toolName)) return false;
  const tool = policy.index.forTool(toolName);
  if (tool.denies.some((rule) => rule.condition.constant === true)) return false;
  if (policy.rules.roles === null) {
    return [...tool.gates, ...tool.allows].some((entry) => entry.condition.constant !== false);
  }
  return policy.index
    .rolesOf(user.principal)
    .some((role) => role.tools.some((glob) => glob.matches(toolName)) && role.agents.some((glob) => glob.matches(user.agent.name)));
}

/** Those of `toolNames` that the user has a right to, in their order. */
export function toolsFor(policy: CompiledPolicy, user: ToolUser, toolNames: readonly string[]): readonly string[] {
  return toolNames.filter((name) => mayUse(policy, user, name));
}
