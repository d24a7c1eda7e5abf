import type { Queryable } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { DocumentRecord } from './knowledge-types.ts';

/**
 * Inserts the chunks that are new and keeps the id of those whose text was there before, even if it
 * had been retired in between. `is_new`: a row that this statement inserted has no deleting transaction.
 */
const UPSERT_CHUNKS = {
  name: 'knowledge-upsert-chunks',
  text: `
INSERT INTO knowledge_chunks AS c (tenant_id, document_id, sensitivity_level, access_group_id, content, content_sha256, occurrence, ordinal, heading_path, length)
SELECT $1, $2, $3, $4, n.content, n.content_sha256, n.occurrence, n.ordinal, ARRAY(SELECT jsonb_array_elements_text(n.heading_path)), n.length
FROM jsonb_to_recordset($5::jsonb) AS n (content text, content_sha256 text, occurrence int, ordinal int, heading_path jsonb, length int)
ORDER BY n.ordinal
ON CONFLICT (tenant_id, document_id, content_sha256, occurrence) DO UPDATE SET
  sensitivity_level = excluded.sensitivity_level, access_group_id = excluded.access_group_id, ordinal = excluded.ordinal,
  heading_path = excluded.heading_path, length = excluded.length, retired_at = NULL
RETURNING c.chunk_id, c.ordinal, (c.xmax = 0) AS is_new`,
} as const;

export interface StoredChunkId {
  readonly chunkId: string;
  readonly ordinal: number;
  readonly isNew: boolean;
}

export async function upsertChunks(db: Queryable, d: DocumentRecord): Promise<readonly StoredChunkId[]> {
  const chunks = d.chunks.map((chunk) => ({
    content: chunk.content,
    content_sha256: chunk.contentSha256,
    occurrence: chunk.occurrence,
    ordinal: chunk.ordinal,
    heading_path: chunk.headingPath,
    length: chunk.length,
  }));
  const values = [d.tenantId, d.id, d.sensitivity, d.accessGroup, toJsonb(chunks)];
  const { rows } = await run<{ readonly chunk_id: string; readonly ordinal: number; readonly is_new: boolean }>(db, UPSERT_CHUNKS, values);
  return rows.map((row) => ({ chunkId: row.chunk_id, ordinal: row.ordinal, isNew: row.is_new }));
}
