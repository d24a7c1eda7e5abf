import type { ModelKey } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ModelKeyRow } from './model-key-row.ts';
import { toModelKey } from './model-key-row.ts';

/** Newest first; ids are UUIDv7, so the id is the order and the cursor. */
const LIST_MODEL_KEYS: Statement = {
  name: 'list-model-keys',
  text: `
SELECT * FROM model_keys
WHERE tenant_id = $1 AND ($2::text IS NULL OR owner = $2) AND ($3::boolean OR revoked_at IS NULL) AND ($4::uuid IS NULL OR id < $4)
ORDER BY id DESC LIMIT $5`,
};

export interface ModelKeyFilter {
  readonly tenantId: string;
  readonly owner?: string | undefined;
  readonly withRevoked: boolean;
  readonly before?: string | undefined;
  readonly limit: number;
}

export async function listModelKeys(db: Queryable, filter: ModelKeyFilter): Promise<readonly ModelKey[]> {
  const { rows } = await run<ModelKeyRow>(db, LIST_MODEL_KEYS, [filter.tenantId, filter.owner, filter.withRevoked, filter.before, filter.limit]);
  return rows.map(toModelKey);
}
