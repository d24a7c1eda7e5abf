import type { Approval } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ApprovalRow } from '../rows.ts';
import { APPROVAL_COLUMNS, toApproval } from '../rows.ts';

/** Most that one look brings; the next look brings the rest. */
const DUE_ESCALATIONS = 100;

/** By the runs that the node owns (runs_owned) and their approvals (approvals_of_run): nothing else is read. */
const LIST_DUE_ESCALATIONS: Statement = {
  name: 'list-due-escalations',
  text: `
SELECT ${APPROVAL_COLUMNS}, r.trace_id
FROM runs r JOIN approvals a ON a.tenant_id = r.tenant_id AND a.run_id = r.id
WHERE r.node_id = $1 AND r.status = 'running' AND a.status = 'pending' AND a.expires_at > now()
  AND date_trunc('milliseconds', a.created_at) + (a.escalation->a.escalations_recorded->>'after_ms')::bigint * interval '1 millisecond' <= now()
LIMIT ${DUE_ESCALATIONS}`,
};

/** Approvals of the runs that this node drives right now whose next escalation is due and not written. */
export async function listDueEscalations(db: Queryable, nodeId: string): Promise<readonly { readonly traceId: string; readonly approval: Approval }[]> {
  const { rows } = await run<ApprovalRow & { readonly trace_id: string }>(db, LIST_DUE_ESCALATIONS, [nodeId]);
  return rows.map((row) => ({ traceId: row.trace_id, approval: toApproval(row) }));
}
