import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { DocumentRecord } from './knowledge-types.ts';

/**
 * Retires the live chunks whose text is gone, and labels all that are retired: they follow their
 * document upwards, never downwards. Text that was confidential when it was cited stays so, even if
 * its successor is public. Answers how many were retired now.
 */
const RETIRE_CHUNKS = {
  name: 'knowledge-retire-chunks',
  text: `
WITH changed AS (
  UPDATE knowledge_chunks c SET
    retired_at = coalesce(c.retired_at, now()),
    sensitivity_level = greatest(c.sensitivity_level, $3::smallint),
    access_group_id = CASE WHEN $4::text = '*' THEN c.access_group_id ELSE $4::text END
  FROM knowledge_chunks old
  WHERE c.tenant_id = $1 AND c.document_id = $2 AND old.tenant_id = c.tenant_id AND old.chunk_id = c.chunk_id
    AND NOT EXISTS (
      SELECT 1 FROM unnest($5::text[], $6::int[]) AS kept (content_sha256, occurrence)
      WHERE kept.content_sha256 = c.content_sha256 AND kept.occurrence = c.occurrence
    )
  RETURNING old.retired_at IS NULL AS was_live
)
SELECT count(*) FILTER (WHERE was_live)::int AS retired FROM changed`,
} as const;

export async function retireChunks(db: Queryable, document: DocumentRecord): Promise<number> {
  const hashes = document.chunks.map((chunk) => chunk.contentSha256);
  const occurrences = document.chunks.map((chunk) => chunk.occurrence);
  const values = [document.tenantId, document.id, document.sensitivity, document.accessGroup, hashes, occurrences];
  const { rows } = await run<{ readonly retired: number }>(db, RETIRE_CHUNKS, values);
  return rows[0]?.retired ?? 0;
}
