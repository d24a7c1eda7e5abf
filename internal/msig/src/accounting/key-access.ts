import type { ModelKey } from '@openeaap/kernel';
import type { MeteredAccess } from './accountant.ts';

/** What the holder of a virtual key may do, for one request. It has no run and no step; `traceId` is that of the request. */
export function toKeyAccess(key: ModelKey, { traceId }: { readonly traceId: string }): MeteredAccess {
  return {
    tenantId: key.tenantId,
    userId: key.owner,
    keyId: key.id,
    keyName: key.name,
    runId: '',
    stepId: '',
    agentId: '',
    traceId,
    models: key.models,
    sensitivity: key.sensitivity,
    labels: key.labels,
    priority: key.priority,
    limits: key.limits,
  };
}
