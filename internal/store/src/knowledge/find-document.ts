import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { DocumentRecord } from './knowledge-types.ts';

/** Whether the stored document is exactly this one already, with the same text, labels and pipeline. */
const FIND_DOCUMENT = {
  name: 'knowledge-find-document',
  text: `
SELECT id, (
  retired_at IS NULL AND sha256 = $3 AND pipeline_version = $4 AND title = $5 AND language = $6 AND tags = $7::text[]
  AND sensitivity_level = $8 AND access_group_id = $9
) AS is_same
FROM knowledge_documents
WHERE tenant_id = $1 AND source = $2`,
} as const;

export async function findDocument(db: Queryable, d: DocumentRecord): Promise<{ readonly id: string; readonly isSame: boolean } | undefined> {
  const values = [d.tenantId, d.source, d.sha256, d.pipelineVersion, d.title, d.language, [...d.tags], d.sensitivity, d.accessGroup];
  const { rows } = await run<{ readonly id: string; readonly is_same: boolean }>(db, FIND_DOCUMENT, values);
  return rows[0] === undefined ? undefined : { id: rows[0].id, isSame: rows[0].is_same };
}
