import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import type { DocumentRecord } from './knowledge-types.ts';

/** The id of a source never changes; a retired source that comes back lives again under it. */
const UPSERT_DOCUMENT = {
  name: 'knowledge-upsert-document',
  text: `
INSERT INTO knowledge_documents (tenant_id, id, source, title, sha256, pipeline_version, language, tags, sensitivity_level, access_group_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant_id, source) DO UPDATE SET
  title = excluded.title, sha256 = excluded.sha256, pipeline_version = excluded.pipeline_version, language = excluded.language,
  tags = excluded.tags, sensitivity_level = excluded.sensitivity_level, access_group_id = excluded.access_group_id,
  updated_at = now(), retired_at = NULL`,
} as const;

export async function upsertDocument(db: Queryable, d: DocumentRecord): Promise<void> {
  const values = [d.tenantId, d.id, d.source, d.title, d.sha256, d.pipelineVersion, d.language, [...d.tags], d.sensitivity, d.accessGroup];
  await run(db, UPSERT_DOCUMENT, values);
}
