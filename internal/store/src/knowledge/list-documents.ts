import type { Sensitivity } from '@openeaap/kernel';
import type { Queryable } from '../database.ts';
import { run } from '../database.ts';
import { accessRule, accessValues } from './access-rule.ts';
import type { KnowledgeAccess, KnowledgeDocument } from './knowledge-types.ts';

/** By bytes of the source (COLLATE "C"), so that a page's cursor means the same on every server. */
const LIST_DOCUMENTS = {
  name: 'knowledge-list-documents',
  text: `
SELECT d.id, d.source, d.title, d.sha256, d.language, d.tags, d.sensitivity_level, d.access_group_id, d.created_at, d.updated_at,
  (SELECT count(*)::int FROM knowledge_chunks c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.retired_at IS NULL) AS chunks
FROM knowledge_documents d
WHERE d.retired_at IS NULL AND ${accessRule('d')} AND d.source COLLATE "C" > $4
ORDER BY d.source COLLATE "C"
LIMIT $5`,
} as const;

interface DocumentRow {
  readonly id: string;
  readonly source: string;
  readonly title: string;
  readonly sha256: string;
  readonly language: string;
  readonly tags: string[];
  readonly sensitivity_level: Sensitivity;
  readonly access_group_id: string;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly chunks: number;
}

export async function listDocuments(
  db: Queryable,
  request: { readonly access: KnowledgeAccess; readonly after: string; readonly limit: number },
): Promise<readonly KnowledgeDocument[]> {
  const { rows } = await run<DocumentRow>(db, LIST_DOCUMENTS, [...accessValues(request.access), request.after, request.limit]);
  return rows.map((row) => ({
    id: row.id,
    source: row.source,
    title: row.title,
    sha256: row.sha256,
    language: row.language,
    tags: row.tags,
    sensitivity: row.sensitivity_level,
    accessGroup: row.access_group_id,
    chunks: row.chunks,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}
