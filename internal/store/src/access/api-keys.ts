import type { Principal } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import { toSensitivity } from '../rows.ts';

const FIND_API_KEY: Statement = {
  name: 'find-api-key',
  text: `
SELECT k.tenant_id, k.id, k.user_id, k.scopes, COALESCE(u.groups, '{}') AS groups, COALESCE(u.clearance, 1) AS clearance
FROM api_keys k LEFT JOIN users u ON u.tenant_id = k.tenant_id AND u.user_id = k.user_id
WHERE k.key_hash = $1 AND k.revoked_at IS NULL`,
};

export interface KeyHolder {
  readonly keyId: string;
  readonly scopes: readonly string[];
  /** Rights come from the directory of users, at each request. */
  readonly principal: Principal;
}

/** `keyHash` is the lower-case hex SHA-256 of the key. */
export async function findApiKey(db: Queryable, keyHash: string): Promise<KeyHolder | null> {
  const { rows } = await run<{ tenant_id: string; id: string; user_id: string; scopes: string[]; groups: string[]; clearance: number }>(db, FIND_API_KEY, [keyHash]);
  const row = rows[0];
  if (row === undefined) return null;
  return {
    keyId: row.id,
    scopes: row.scopes,
    principal: { tenantId: row.tenant_id, userId: row.user_id, groups: row.groups, clearance: toSensitivity(row.clearance) },
  };
}

/** The same id again replaces the key: the old one stops working. */
const PUT_API_KEY: Statement = {
  name: 'put-api-key',
  text: `
INSERT INTO api_keys (tenant_id, id, name, key_hash, user_id, scopes) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id, id) DO UPDATE SET name = EXCLUDED.name, key_hash = EXCLUDED.key_hash, user_id = EXCLUDED.user_id, scopes = EXCLUDED.scopes, revoked_at = NULL`,
};

export interface NewApiKey {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly keyHash: string;
  readonly userId: string;
  readonly scopes: readonly string[];
}

export async function putApiKey(db: Queryable, key: NewApiKey): Promise<void> {
  await run(db, PUT_API_KEY, [key.tenantId, key.id, key.name, key.keyHash, key.userId, key.scopes]);
}
