import type { AuditFact } from '@openeaap/kernel';
import type { EgressFact } from './egress-guard.ts';

/** The fact in the words of the audit: where something went and how often each rule found something, never what. */
export function toEgressAudit({ access, backend, host, kind, decision, found, bytes, reason }: EgressFact): AuditFact {
  return {
    tenantId: access.tenantId,
    runId: orNull(access.runId),
    traceId: access.traceId,
    actor: access.userId === '' ? `key:${access.keyId ?? ''}` : `user:${access.userId}`,
    action: 'model_egress',
    phase: 'event',
    decision: decision === 'denied' ? 'deny' : 'allow',
    outcome: null,
    rule: decision === 'denied' ? `egress.${reason ?? 'denied'}` : null,
    stepNo: null,
    metadata: {
      backend,
      host,
      kind,
      bytes,
      masked: decision === 'masked',
      // A list, for under a name such as `secret` a count would be masked.
      found: Object.entries(found).map(([rule, count]) => ({ rule, count })),
      sensitivity: access.sensitivity ?? 1,
      ...(access.stepId === '' ? {} : { step_id: access.stepId }),
      ...(access.agentId === '' ? {} : { agent_id: access.agentId }),
      ...(access.tool === undefined || access.tool === null ? {} : { tool: access.tool }),
      ...(access.keyId === undefined || access.keyId === '' ? {} : { key_id: access.keyId }),
    },
    input: null,
    output: null,
  };
}

const orNull = (text: string): string | null => (text === '' ? null : text);
