import type { Approval, ApprovalDecision, NewRunEvent } from '@openeaap/kernel';
import { statusAfter } from '@openeaap/kernel';
import type { AuditRow } from '../audit/audit-row.ts';
import { insertAudit, toAuditJson } from '../audit/audit-row.ts';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { ApprovalRow } from '../rows.ts';
import { toApproval } from '../rows.ts';

/**
 * R6: compare-and-set. Of two who decide at once one wins and the other changes nothing. The
 * decision, its event, its audit row and the run's signal are one transaction, so a decision that
 * was made while no node was up still counts. Rows are locked in the order run, approval: the same
 * as in commit-runs.ts.
 */
const DECIDE_APPROVAL: Statement = {
  name: 'decide-approval',
  text: `
WITH owner AS (
  SELECT r.tenant_id, r.id FROM approvals a JOIN runs r ON r.tenant_id = a.tenant_id AND r.id = a.run_id
  WHERE a.tenant_id = $1 AND a.id = $2 AND r.status IN ('running', 'paused') FOR UPDATE OF r
), decided AS (
  UPDATE approvals a SET status = $3, verdict = $4, edited_args = $5::jsonb, comment = $6, decided_by = $7, decided_at = now()
  FROM owner
  WHERE a.tenant_id = owner.tenant_id AND a.run_id = owner.id AND a.id = $2
    AND a.status = 'pending' AND a.call_hash = $8 AND a.expires_at > now()
  RETURNING a.*
), woken AS (
  UPDATE runs r SET signal_no = r.signal_no + 1, last_seq = r.last_seq + 1,
    wake_at = CASE WHEN r.status = 'paused' THEN now() ELSE r.wake_at END
  FROM decided WHERE r.tenant_id = decided.tenant_id AND r.id = decided.run_id
  RETURNING r.tenant_id, r.id, r.last_seq
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data) SELECT tenant_id, id, last_seq, $9, $10::jsonb FROM woken
), audited AS (
  ${insertAudit('$11')} WHERE EXISTS (SELECT 1 FROM woken)
)
SELECT * FROM decided`,
};

/** null: somebody was first, the time was up, the run had ended, or it is another call. Nothing was written. */
export async function decideApproval(
  db: Queryable,
  decision: ApprovalDecision & { readonly callHash: string },
  record: { readonly event: NewRunEvent; readonly audit: readonly AuditRow[] },
): Promise<Approval | null> {
  const { rows } = await run<ApprovalRow>(db, DECIDE_APPROVAL, [
    decision.tenantId,
    decision.approvalId,
    statusAfter(decision.verdict),
    decision.verdict,
    decision.editedArgs === null ? null : toJsonb(decision.editedArgs),
    decision.comment,
    decision.decider.userId,
    decision.callHash,
    record.event.type,
    toJsonb(record.event.data),
    toAuditJson(record.audit),
  ]);
  return rows[0] === undefined ? null : toApproval(rows[0]);
}
