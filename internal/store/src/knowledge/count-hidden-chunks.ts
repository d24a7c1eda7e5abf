import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import { accessRule, accessValues } from './access-rule.ts';
import type { KnowledgeAccess } from './knowledge-types.ts';

/** Live chunks of the tenant that match a term and that the caller may not see. */
const COUNT_HIDDEN_CHUNKS = {
  name: 'knowledge-count-hidden-chunks',
  text: `
SELECT count(DISTINCT c.chunk_id)::int AS hidden
FROM knowledge_terms t
JOIN knowledge_chunks c ON c.tenant_id = t.tenant_id AND c.chunk_id = t.chunk_id
WHERE t.tenant_id = $1 AND t.term = ANY ($4::text[]) AND c.retired_at IS NULL AND (${accessRule('c')}) IS NOT TRUE`,
} as const;

export async function countHiddenChunks(db: Queryable, request: { readonly access: KnowledgeAccess; readonly terms: readonly string[] }): Promise<number> {
  const { rows } = await run<{ readonly hidden: number }>(db, COUNT_HIDDEN_CHUNKS, [...accessValues(request.access), [...request.terms]]);
  return rows[0]?.hidden ?? 0;
}
