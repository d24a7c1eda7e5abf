import type { DecisionRequest } from '@openeaap/kernel';

/**
 * Is this really a DecisionRequest? The type says so, but the PDP is the last line: a request that was built
 * wrongly somewhere must not be allowed by a rule that happens not to look at what is wrong.
 */
export function isWellFormed(request: unknown): request is DecisionRequest {
  if (!isRecord(request)) return false;
  const { principal, agent, run, taint, now } = request;
  return (
    isRecord(principal) && isName(principal['tenantId']) && isName(principal['userId']) && isTexts(principal['groups']) && isClearance(principal['clearance']) &&
    isRecord(agent) && isName(agent['id']) && isName(agent['name']) && isName(agent['version']) &&
    isRecord(run) && isName(run['id']) && isCount(run['stepNo']) && isCount(run['tokensUsed']) &&
    isRecord(taint) && typeof taint['untrusted'] === 'boolean' && typeof taint['injection'] === 'boolean' &&
    now instanceof Date && !Number.isNaN(now.getTime()) &&
    (request['kind'] === 'think' ? isCount(request['maxTokens']) : request['kind'] === 'act' && isAct(request))
  );
}

function isAct(request: Readonly<Record<string, unknown>>): boolean {
  const { tool, input } = request;
  return isRecord(tool) && isName(tool['name']) && isName(tool['version']) && isEffect(tool['effect']) && input !== undefined && typeof input !== 'function';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0;
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isClearance(value: unknown): boolean {
  return value === 1 || value === 2 || value === 3;
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isEffect(value: unknown): boolean {
  return value === 'read' || value === 'write' || value === 'egress' || value === 'destructive';
}
