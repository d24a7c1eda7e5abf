import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** Takes a document's live chunks out of the statistics (-1) before it is changed, or adds them (+1) after. */
const SHIFT_STATISTICS = {
  name: 'knowledge-shift-statistics',
  text: `
INSERT INTO knowledge_statistics AS s (tenant_id, access_group_id, sensitivity_level, chunks, total_length)
SELECT tenant_id, access_group_id, sensitivity_level, $3 * count(*), $3 * sum(length)
FROM knowledge_chunks
WHERE tenant_id = $1 AND document_id = $2 AND retired_at IS NULL
GROUP BY tenant_id, access_group_id, sensitivity_level
ON CONFLICT (tenant_id, access_group_id, sensitivity_level) DO UPDATE SET
  chunks = s.chunks + excluded.chunks, total_length = s.total_length + excluded.total_length`,
} as const;

export async function shiftStatistics(db: Queryable, document: { readonly tenantId: string; readonly id: string }, sign: 1 | -1): Promise<void> {
  await run(db, SHIFT_STATISTICS, [document.tenantId, document.id, sign]);
}
