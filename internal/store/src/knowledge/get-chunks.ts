import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import { accessRule, accessValues } from './access-rule.ts';
import type { ChunkRow } from './chunk-row.ts';
import { CHUNK_COLUMNS, toKnowledgeChunk } from './chunk-row.ts';
import type { KnowledgeAccess, KnowledgeChunk } from './knowledge-types.ts';

/** Retired chunks too: lineage must resolve for as long as runs are kept. */
const GET_CHUNKS = {
  name: 'knowledge-get-chunks',
  text: `
SELECT ${CHUNK_COLUMNS}
FROM knowledge_chunks c
JOIN knowledge_documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
WHERE c.chunk_id = ANY ($4::bigint[]) AND ${accessRule('c')}`,
} as const;

export async function getChunks(
  db: Queryable,
  request: { readonly access: KnowledgeAccess; readonly chunkIds: readonly string[] },
): Promise<readonly KnowledgeChunk[]> {
  const { rows } = await run<ChunkRow>(db, GET_CHUNKS, [...accessValues(request.access), [...request.chunkIds]]);
  return rows.map(toKnowledgeChunk);
}
