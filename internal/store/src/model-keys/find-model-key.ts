import type { ModelKey } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ModelKeyRow } from './model-key-row.ts';
import { toModelKey } from './model-key-row.ts';

/**
 * Labels keep the owner's own answers apart in the caches. Without one that he has lost they would
 * come among those of others, so the key opens nothing instead.
 */
const BY_HASH: Statement = {
  name: 'find-model-key-by-hash',
  text: `
SELECT k.* FROM model_keys k LEFT JOIN users u ON u.tenant_id = k.tenant_id AND u.user_id = k.owner
WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
  AND (k.labels_granted OR k.labels <@ COALESCE(u.groups, '{}'))`,
};
const BY_ID: Statement = { name: 'find-model-key', text: 'SELECT * FROM model_keys WHERE tenant_id = $1 AND id = $2' };
const BY_NAME: Statement = { name: 'find-model-key-by-name', text: 'SELECT * FROM model_keys WHERE tenant_id = $1 AND name = $2' };

/** null: there is none, or it opens nothing any more. `keyHash`: lower-case hex SHA-256. */
export async function findLiveModelKey(db: Queryable, keyHash: string): Promise<ModelKey | null> {
  const { rows } = await run<ModelKeyRow>(db, BY_HASH, [keyHash]);
  return rows[0] === undefined ? null : toModelKey(rows[0]);
}

/** Also one that was revoked or is over. */
export async function findModelKey(db: Queryable, tenantId: string, by: { readonly id: string } | { readonly name: string }): Promise<ModelKey | null> {
  const { rows } = await ('id' in by ? run<ModelKeyRow>(db, BY_ID, [tenantId, by.id]) : run<ModelKeyRow>(db, BY_NAME, [tenantId, by.name]));
  return rows[0] === undefined ? null : toModelKey(rows[0]);
}
