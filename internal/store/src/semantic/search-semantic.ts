import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { SemanticMatch, SemanticQuery } from './semantic-types.ts';
import { fromBytes, signsOf } from './vector-bytes.ts';

/** Of one scope, the newest first. */
const SCANNED_MAX = 2_000;
/** Whose vectors are read; among the rest none is likely to be nearer. */
const COMPARED_MAX = 32;

/** Without pgvector: signs are counted where the rows are, and only few vectors travel. Vectors of another length come from another embedder. */
const SEARCH_SEMANTIC = {
  name: 'search-semantic',
  text: `
SELECT id, vector, facts
FROM (
  SELECT id, vector, facts, signs
  FROM semantic_cache
  WHERE tenant_id = $1 AND scope = $2 AND expires_at > to_timestamp($3::float8 / 1000) AND length(signs) = length($4::varbit)
  ORDER BY created_at DESC
  LIMIT ${SCANNED_MAX}
) newest
ORDER BY bit_count(signs # $4::varbit)
LIMIT ${COMPARED_MAX}`,
} as const;

/** The nearest, best first. */
export async function searchSemantic(db: Queryable, query: SemanticQuery): Promise<readonly SemanticMatch[]> {
  const { rows } = await run<{ readonly id: string; readonly vector: Buffer; readonly facts: string }>(db, SEARCH_SEMANTIC, [query.tenantId, query.scope, query.nowMs, signsOf(query.vector)]);
  return rows
    .map(({ id, vector, facts }) => ({ id, facts, similarity: dot(fromBytes(vector), query.vector) }))
    .filter(({ similarity }) => similarity >= query.least)
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, query.limit);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += (a[at] ?? 0) * (b[at] ?? 0);
  // Rounding may go a little beyond.
  return Math.min(1, Math.max(-1, sum));
}
