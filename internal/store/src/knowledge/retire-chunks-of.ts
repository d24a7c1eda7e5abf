import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** All live chunks of one document, with their labels as they are. */
const RETIRE_CHUNKS_OF = {
  name: 'knowledge-retire-chunks-of',
  text: `UPDATE knowledge_chunks SET retired_at = now() WHERE tenant_id = $1 AND document_id = $2 AND retired_at IS NULL`,
} as const;

export async function retireChunksOf(db: Queryable, document: { readonly tenantId: string; readonly id: string }): Promise<void> {
  await run(db, RETIRE_CHUNKS_OF, [document.tenantId, document.id]);
}
