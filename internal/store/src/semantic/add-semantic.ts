import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { SemanticEntry } from './semantic-types.ts';
import { signsOf, toBytes } from './vector-bytes.ts';

const ADD_SEMANTIC = {
  name: 'add-semantic',
  text: `
INSERT INTO semantic_cache (tenant_id, scope, id, signs, vector, facts, answer, created_at, expires_at)
VALUES ($1, $2, $3, $4::varbit, $5, $6, $7, to_timestamp($8::float8 / 1000), to_timestamp($9::float8 / 1000))
ON CONFLICT (tenant_id, scope, id) DO UPDATE SET
  signs = EXCLUDED.signs, vector = EXCLUDED.vector, facts = EXCLUDED.facts, answer = EXCLUDED.answer, created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at`,
} as const;

export async function addSemantic(db: Queryable, entry: SemanticEntry): Promise<void> {
  const { tenantId, scope, id, vector, facts, answer, nowMs, untilMs } = entry;
  await run(db, ADD_SEMANTIC, [tenantId, scope, id, signsOf(vector), toBytes(vector), facts, Buffer.from(answer), nowMs, untilMs]);
}
