import type { LineageRef, Run } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { RunRow } from '../rows.ts';
import { toRun } from '../rows.ts';

const GET_RUN: Statement = {
  name: 'get-run',
  text: `
SELECT r.*,
  ARRAY(SELECT p.id FROM approvals p WHERE p.tenant_id = r.tenant_id AND p.run_id = r.id AND p.status = 'pending' ORDER BY p.id) AS pending_approvals,
  (SELECT COALESCE(jsonb_agg(jsonb_build_object('stepNo', s.no, 'ref', ref) ORDER BY s.no, ord), '[]')
     FROM run_steps s, jsonb_array_elements(s.lineage) WITH ORDINALITY AS l(ref, ord)
     WHERE s.tenant_id = r.tenant_id AND s.run_id = r.id AND s.kind = 'act') AS lineage
FROM runs r WHERE r.tenant_id = $1 AND r.id = $2`,
};

export interface RunDetail {
  readonly run: Run;
  readonly pendingApprovals: readonly string[];
  /** Knowledge that the run has read, by the step that read it (document section 5.2). */
  readonly lineage: readonly { readonly stepNo: number; readonly ref: LineageRef }[];
}

export async function getRun(db: Queryable, tenantId: string, runId: string): Promise<RunDetail | null> {
  const { rows } = await run<RunRow & { pending_approvals: string[]; lineage: RunDetail['lineage'] }>(db, GET_RUN, [tenantId, runId]);
  const row = rows[0];
  return row === undefined ? null : { run: toRun(row), pendingApprovals: row.pending_approvals, lineage: row.lineage };
}
