import type { Approval } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ApprovalRow } from '../rows.ts';
import { APPROVAL_COLUMNS, toApproval } from '../rows.ts';

const GET_APPROVAL: Statement = { name: 'get-approval', text: `SELECT ${APPROVAL_COLUMNS} FROM approvals a WHERE a.tenant_id = $1 AND a.id = $2` };

export async function getApproval(db: Queryable, tenantId: string, approvalId: string): Promise<Approval | null> {
  const { rows } = await run<ApprovalRow>(db, GET_APPROVAL, [tenantId, approvalId]);
  return rows[0] === undefined ? null : toApproval(rows[0]);
}
