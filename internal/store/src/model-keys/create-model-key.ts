import type { ModelKey, ModelKeySpec } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { ModelKeyRow } from './model-key-row.ts';
import { toModelKey, toStoredLimits } from './model-key-row.ts';

/** The number of keys is looked at without a lock: requests at the same moment may pass it by a few. */
const CREATE_MODEL_KEY: Statement = {
  name: 'create-model-key',
  text: `
INSERT INTO model_keys (tenant_id, id, name, key_hash, prefix, owner, models, sensitivity, labels, priority, limits, expires_at, created_by, labels_granted)
SELECT $1::varchar, $2::uuid, $3, $4, $5, $6, $7::text[], $8::smallint, $9::text[], $10::int, $11::jsonb, $12::timestamptz, $13, $15::boolean
WHERE (SELECT count(*) FROM model_keys WHERE tenant_id = $1::varchar) < $14::int
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING *`,
};

export interface NewModelKey extends ModelKeySpec {
  readonly tenantId: string;
  readonly id: string;
  /** Lower-case hex SHA-256. */
  readonly keyHash: string;
  readonly prefix: string;
  readonly owner: string;
  /** As of `ModelKey`. */
  readonly labelsGranted: boolean;
  readonly createdBy: string;
}

/** null: the name is taken, or the tenant has `most` keys. */
export async function createModelKey(db: Queryable, key: NewModelKey, most: number): Promise<ModelKey | null> {
  const { rows } = await run<ModelKeyRow>(db, CREATE_MODEL_KEY, [
    key.tenantId,
    key.id,
    key.name,
    key.keyHash,
    key.prefix,
    key.owner,
    key.models,
    key.sensitivity,
    key.labels,
    key.priority,
    toJsonb(toStoredLimits(key.limits)),
    key.expiresAt,
    key.createdBy,
    most,
    key.labelsGranted,
  ]);
  return rows[0] === undefined ? null : toModelKey(rows[0]);
}
