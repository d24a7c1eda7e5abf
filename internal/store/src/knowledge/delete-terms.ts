import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** The index entries of a document's chunks; they are written anew, because a title or heading may have changed. */
const DELETE_TERMS = {
  name: 'knowledge-delete-terms',
  text: `
DELETE FROM knowledge_terms t
USING knowledge_chunks c
WHERE c.tenant_id = $1 AND c.document_id = $2 AND t.tenant_id = c.tenant_id AND t.chunk_id = c.chunk_id`,
} as const;

export async function deleteTerms(db: Queryable, document: { readonly tenantId: string; readonly id: string }): Promise<void> {
  await run(db, DELETE_TERMS, [document.tenantId, document.id]);
}
