import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { SemanticPlace } from './semantic-types.ts';

const LOAD_SEMANTIC = {
  name: 'load-semantic',
  text: 'SELECT answer FROM semantic_cache WHERE tenant_id = $1 AND scope = $2 AND id = $3',
} as const;

/** null: it is gone. */
export async function loadSemantic(db: Queryable, { tenantId, scope, id }: SemanticPlace): Promise<Uint8Array | null> {
  const { rows } = await run<{ readonly answer: Buffer }>(db, LOAD_SEMANTIC, [tenantId, scope, id]);
  return rows[0]?.answer ?? null;
}
