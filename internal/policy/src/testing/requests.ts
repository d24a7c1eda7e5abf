import type { DecisionRequest, JsonValue } from '@openeaap/kernel';
import { compilePolicy } from '../compile-policy.ts';
import type { CompiledPolicy } from '../compile-policy.ts';

export function policyOf(text: string): CompiledPolicy {
  return compilePolicy([{ name: 'test.yaml', text }]);
}

const BASE = {
  principal: { tenantId: 't1', userId: 'alice', groups: ['soc-analysts'], clearance: 2 },
  agent: { id: 'agent-1', name: 'triage', version: '1.0.0' },
  run: { id: 'run-1', stepNo: 3, tokensUsed: 100 },
  taint: { untrusted: false, injection: false },
  now: new Date('2026-11-22T10:05:30.000Z'),
} as const;

type Changes = Partial<Pick<DecisionRequest, 'principal' | 'agent' | 'run' | 'taint' | 'now'>>;

export function act(tool: string, input: JsonValue = {}, changes: Changes = {}): DecisionRequest {
  return { ...BASE, ...changes, kind: 'act', tool: { name: tool, version: '1.0.0', effect: 'destructive' }, input };
}

export function think(changes: Changes = {}, maxTokens = 1_000): DecisionRequest {
  return { ...BASE, ...changes, kind: 'think', maxTokens };
}

/** What `run` throws; undefined when it does not. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}
