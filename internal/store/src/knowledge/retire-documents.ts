import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** Retires the live documents below `prefix` that are not among `sources`; answers their ids. */
const RETIRE_DOCUMENTS = {
  name: 'knowledge-retire-documents',
  text: `
UPDATE knowledge_documents
SET retired_at = now()
WHERE tenant_id = $1 AND starts_with(source, $2) AND NOT (source = ANY ($3::text[])) AND retired_at IS NULL
RETURNING id`,
} as const;

export async function retireDocuments(
  db: Queryable,
  request: { readonly tenantId: string; readonly prefix: string; readonly sources: readonly string[] },
): Promise<readonly string[]> {
  const { rows } = await run<{ readonly id: string }>(db, RETIRE_DOCUMENTS, [request.tenantId, request.prefix, [...request.sources]]);
  return rows.map((row) => row.id);
}
