import type { Approval, ApprovalStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ApprovalRow } from '../rows.ts';
import { APPROVAL_COLUMNS, toApproval } from '../rows.ts';

const LIST_APPROVALS: Statement = {
  name: 'list-approvals',
  text: `
SELECT ${APPROVAL_COLUMNS} FROM approvals a
WHERE a.tenant_id = $1 AND ($2::text IS NULL OR a.status = $2) AND ($3::uuid IS NULL OR a.run_id = $3) AND ($4::uuid IS NULL OR a.id < $4)
ORDER BY a.id DESC LIMIT $5`,
};

export interface ApprovalFilter {
  readonly tenantId: string;
  readonly status?: ApprovalStatus | undefined;
  readonly runId?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

export async function listApprovals(db: Queryable, filter: ApprovalFilter): Promise<readonly Approval[]> {
  const { rows } = await run<ApprovalRow>(db, LIST_APPROVALS, [filter.tenantId, filter.status, filter.runId, filter.before, filter.limit]);
  return rows.map(toApproval);
}
