import type { ModelKey } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ModelKeyRow } from './model-key-row.ts';
import { toModelKey } from './model-key-row.ts';

const BY_HASH: Statement = { name: 'find-model-key-by-hash', text: 'SELECT * FROM model_keys WHERE key_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())' };
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
