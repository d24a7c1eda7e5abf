import type { ModelKey, ModelLimitName, ModelLimits } from '@openeaap/kernel';
import { MODEL_LIMIT_FIELDS, NO_MODEL_LIMITS } from '@openeaap/kernel';
import { toSensitivity } from '../rows.ts';

export interface ModelKeyRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly owner: string;
  readonly models: readonly string[] | null;
  readonly sensitivity: number;
  readonly labels: readonly string[];
  readonly labels_granted: boolean;
  readonly priority: number;
  readonly limits: StoredLimits;
  readonly expires_at: Date | null;
  readonly created_by: string;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
  readonly revision: number;
}

/** Only what is limited. */
export type StoredLimits = Readonly<Partial<Record<ModelLimitName, number>>>;

export function toStoredLimits(limits: ModelLimits): StoredLimits {
  return Object.fromEntries(MODEL_LIMIT_FIELDS.flatMap(({ of, name }) => (limits[of] === null ? [] : [[name, limits[of]]])));
}

export function toModelKey(row: ModelKeyRow): ModelKey {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    owner: row.owner,
    models: row.models,
    sensitivity: toSensitivity(row.sensitivity),
    labels: row.labels,
    labelsGranted: row.labels_granted,
    priority: row.priority,
    limits: { ...NO_MODEL_LIMITS, ...Object.fromEntries(MODEL_LIMIT_FIELDS.map(({ of, name }) => [of, row.limits[name] ?? null])) },
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    revision: row.revision,
  };
}
