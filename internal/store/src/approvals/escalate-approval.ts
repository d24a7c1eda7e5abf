import type { NewRunEvent } from '@openeaap/kernel';
import type { AuditRow } from '../audit/audit-row.ts';
import { insertAudit, toAuditJson } from '../audit/audit-row.ts';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/**
 * Writes down that one more group may decide: the mark, the event and the audit row in one transaction,
 * once, whoever asks how often. Only a pending approval is escalated, only when its stage is due by the
 * clock of the store, and stages only in their order. Locks in the order run, approval.
 */
const ESCALATE_APPROVAL: Statement = {
  name: 'escalate-approval',
  text: `
WITH owner AS (
  SELECT r.tenant_id, r.id FROM approvals a JOIN runs r ON r.tenant_id = a.tenant_id AND r.id = a.run_id
  WHERE a.tenant_id = $1 AND a.id = $2 AND r.status IN ('running', 'paused') FOR UPDATE OF r
), escalated AS (
  UPDATE approvals a SET escalations_recorded = $3::int FROM owner
  WHERE a.tenant_id = owner.tenant_id AND a.run_id = owner.id AND a.id = $2
    AND a.status = 'pending' AND a.expires_at > now() AND a.escalations_recorded = $3::int - 1
    AND date_trunc('milliseconds', a.created_at) + (a.escalation->($3::int - 1)->>'after_ms')::bigint * interval '1 millisecond' <= now()
  RETURNING a.tenant_id, a.run_id
), numbered AS (
  UPDATE runs r SET last_seq = r.last_seq + 1 FROM escalated WHERE r.tenant_id = escalated.tenant_id AND r.id = escalated.run_id
  RETURNING r.tenant_id, r.id, r.last_seq
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data) SELECT tenant_id, id, last_seq, $4, $5::jsonb FROM numbered
), audited AS (
  ${insertAudit('$6')} WHERE EXISTS (SELECT 1 FROM numbered)
)
SELECT 1 FROM escalated`,
};

export interface EscalationMark {
  readonly tenantId: string;
  readonly approvalId: string;
  /** 1 for the first. */
  readonly stage: number;
}

/** null: it is written already, not due, or there is nothing left to decide. Nothing was written. */
export async function escalateApproval(
  db: Queryable,
  mark: EscalationMark,
  record: { readonly event: NewRunEvent; readonly audit: readonly AuditRow[] },
): Promise<true | null> {
  const { rowCount } = await run(db, ESCALATE_APPROVAL, [mark.tenantId, mark.approvalId, mark.stage, record.event.type, toJsonb(record.event.data), toAuditJson(record.audit)]);
  return rowCount === 1 ? true : null;
}
