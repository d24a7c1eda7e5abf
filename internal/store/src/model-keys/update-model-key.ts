import type { ModelKey } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, sqlState, toJsonb } from '../database.ts';
import type { ModelKeyRow } from './model-key-row.ts';
import { toModelKey, toStoredLimits } from './model-key-row.ts';

const UPDATE_MODEL_KEY: Statement = {
  name: 'update-model-key',
  text: `
UPDATE model_keys SET name = $4, models = $5::text[], sensitivity = $6, labels = $7::text[], priority = $8, limits = $9::jsonb, expires_at = $10::timestamptz, labels_granted = $11::boolean,
  revision = revision + 1, updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND revision = $3 AND revoked_at IS NULL
RETURNING *`,
};

const REVOKE_MODEL_KEY: Statement = {
  name: 'revoke-model-key',
  text: 'UPDATE model_keys SET revoked_at = now(), revision = revision + 1, updated_at = now() WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING *',
};

const TOUCH_MODEL_KEY: Statement = {
  name: 'touch-model-key',
  text: "UPDATE model_keys SET last_used_at = now() WHERE tenant_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')",
};

const UNIQUE_VIOLATION = '23505';

/** `key` as it is to be, with the revision that was read. null: somebody has changed or revoked it meanwhile. Errors: `conflict` (the name is taken). */
export async function updateModelKey(db: Queryable, key: ModelKey): Promise<ModelKey | null> {
  const values = [key.tenantId, key.id, key.revision, key.name, key.models, key.sensitivity, key.labels, key.priority, toJsonb(toStoredLimits(key.limits)), key.expiresAt, key.labelsGranted];
  const { rows } = await run<ModelKeyRow>(db, UPDATE_MODEL_KEY, values).catch((thrown: unknown) => {
    throw thrown instanceof PlatformError && sqlState(thrown.cause) === UNIQUE_VIOLATION ? nameTaken(key.name) : thrown;
  });
  return rows[0] === undefined ? null : toModelKey(rows[0]);
}

/** For good. null: it was revoked already, or is not there. */
export async function revokeModelKey(db: Queryable, tenantId: string, id: string): Promise<ModelKey | null> {
  const { rows } = await run<ModelKeyRow>(db, REVOKE_MODEL_KEY, [tenantId, id]);
  return rows[0] === undefined ? null : toModelKey(rows[0]);
}

/** It was used just now; written once in five minutes. */
export async function touchModelKey(db: Queryable, tenantId: string, id: string): Promise<void> {
  await run(db, TOUCH_MODEL_KEY, [tenantId, id]);
}

const nameTaken = (name: string): PlatformError =>
  new PlatformError('conflict', `There is a model key "${name}" already. Choose another name.`, { details: { field: 'name' } });
