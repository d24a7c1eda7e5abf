import type { JsonValue } from '@openeaap/kernel';
import { contains, overlaps, parseIpRange } from './cidr.ts';
import { ERROR, readPath } from './condition/fields.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Scope } from './rules.ts';

/**
 * Does the call stay inside the scope? Null when it does, otherwise why not. The field must be an address,
 * a block, or a list of them: every one must lie wholly in an allowed block and touch no denied one, so that
 * `0.0.0.0/0` does not pass because it is no address of ours.
 */
export function checkScope(scope: Scope, input: JsonValue): string | null {
  const value = readPath(input, scope.keys);
  if (value === ERROR) return `${scope.field} is missing`;
  const items: readonly JsonValue[] = Array.isArray(value) ? value : [value];
  if (items.length === 0) return `${scope.field} is empty`;
  if (items.length > POLICY_LIMITS.scopeItems) return `${scope.field} has more than ${POLICY_LIMITS.scopeItems} entries`;
  for (const item of items) {
    const problem = checkAddress(scope, item);
    if (problem !== null) return problem;
  }
  return null;
}

function checkAddress(scope: Scope, value: JsonValue): string | null {
  const range = typeof value === 'string' ? parseIpRange(value) : null;
  if (range === null) return `${scope.field} is neither an address nor an address block`;
  const denied = scope.deny.find((cidr) => overlaps(cidr.range, range));
  if (denied !== undefined) return `${scope.field} is in ${denied.text}, which is not allowed`;
  const isAllowed = scope.allow.length === 0 || scope.allow.some((cidr) => contains(cidr.range, range));
  return isAllowed ? null : `${scope.field} is outside the allowed address blocks`;
}
