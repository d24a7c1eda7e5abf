import type { RunStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** How far many runs are, in one look. */
const READ_POSITIONS: Statement = {
  name: 'read-positions',
  text: `
SELECT r.id, r.last_seq, r.status FROM unnest($1::text[], $2::uuid[]) AS w(tenant_id, id)
CROSS JOIN LATERAL (SELECT id, last_seq, status FROM runs r WHERE r.tenant_id = w.tenant_id AND r.id = w.id LIMIT 1) r`,
};

/** By run id; runs that are not there are left out. */
export async function readPositions(
  db: Queryable,
  runs: readonly { readonly tenantId: string; readonly runId: string }[],
): Promise<ReadonlyMap<string, { readonly lastSeq: number; readonly status: RunStatus }>> {
  if (runs.length === 0) return new Map();
  const { rows } = await run<{ id: string; last_seq: string; status: RunStatus }>(db, READ_POSITIONS, [runs.map(({ tenantId }) => tenantId), runs.map(({ runId }) => runId)]);
  return new Map(rows.map((row) => [row.id, { lastSeq: Number(row.last_seq), status: row.status }]));
}
