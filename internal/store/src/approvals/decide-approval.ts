import type { Approval, CountedVote, NewRunEvent } from '@openeaap/kernel';
import type { AuditRow } from '../audit/audit-row.ts';
import { insertAudit, toAuditJson } from '../audit/audit-row.ts';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import { getApproval } from './get-approval.ts';

/**
 * R6: compare-and-set of one vote. Of two who vote at once one is counted and the other changes
 * nothing: call, count and round must be those that the vote was counted with. The vote, what it leads
 * to, its event, its audit row and the run's signal are one transaction, so a decision that was made
 * while no node was up still counts. Who may vote, and until when, is judged here once more, by the
 * clock of the store: a group of an escalation from its time on (whole milliseconds, as nodes see it). A vote that decides nothing does not
 * wake the run. Rows are locked in the order run, approval: the same as in commit-runs.ts.
 */
const DECIDE_APPROVAL: Statement = {
  name: 'decide-approval',
  text: `
WITH owner AS (
  SELECT r.tenant_id, r.id FROM approvals a JOIN runs r ON r.tenant_id = a.tenant_id AND r.id = a.run_id
  WHERE a.tenant_id = $1 AND a.id = $2 AND r.status IN ('running', 'paused') FOR UPDATE OF r
), decided AS (
  UPDATE approvals a SET approvals_given = $9::int, round = $10::int, call_hash = $11::text, edited_args = COALESCE($12::jsonb, a.edited_args), status = $8::text,
    verdict = CASE WHEN $8::text = 'pending' THEN NULL ELSE $3::text END, comment = CASE WHEN $8::text = 'pending' THEN NULL ELSE $4::text END,
    decided_by = CASE WHEN $8::text = 'pending' THEN NULL ELSE $13::text END, decided_at = CASE WHEN $8::text = 'pending' THEN NULL ELSE now() END
  FROM owner
  WHERE a.tenant_id = owner.tenant_id AND a.run_id = owner.id AND a.id = $2
    AND a.status = 'pending' AND a.call_hash = $5::text AND a.approvals_given = $6::int AND a.round = $7::int AND a.expires_at > now()
    AND NOT (a.forbid_requester AND a.requester_id = $13::text)
    AND (a.approvers && $14::text[] OR EXISTS (
      SELECT 1 FROM jsonb_array_elements(a.escalation) AS e(stage)
      WHERE date_trunc('milliseconds', a.created_at) + (e.stage->>'after_ms')::bigint * interval '1 millisecond' <= now() AND e.stage->'approvers' ?| $14::text[]))
  RETURNING a.tenant_id, a.id, a.run_id
), voted AS (
  INSERT INTO approval_votes (tenant_id, approval_id, round, voter, verdict, call_hash, comment)
  SELECT tenant_id, id, $10::int, $13::text, $3::text, $11::text, $4::text FROM decided
), woken AS (
  UPDATE runs r SET signal_no = r.signal_no + CASE WHEN $8::text = 'pending' THEN 0 ELSE 1 END, last_seq = r.last_seq + 1,
    wake_at = CASE WHEN r.status = 'paused' AND $8::text <> 'pending' THEN now() ELSE r.wake_at END
  FROM decided WHERE r.tenant_id = decided.tenant_id AND r.id = decided.run_id
  RETURNING r.tenant_id, r.id, r.last_seq
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data) SELECT tenant_id, id, last_seq, $15::text, $16::jsonb FROM woken
), audited AS (
  ${insertAudit('$17')} WHERE EXISTS (SELECT 1 FROM woken)
)
SELECT id FROM decided`,
};

/** null: somebody was first, the time was up, the run had ended, it is another call, or the voter may not. Nothing was written. */
export async function decideApproval(
  db: Queryable,
  vote: CountedVote,
  record: { readonly event: NewRunEvent; readonly audit: readonly AuditRow[] },
): Promise<Approval | null> {
  const { rows } = await run<{ id: string }>(db, DECIDE_APPROVAL, [
    vote.tenantId,
    vote.approvalId,
    vote.verdict,
    vote.comment,
    vote.seen.callHash,
    vote.seen.given,
    vote.seen.round,
    vote.status,
    vote.given,
    vote.round,
    vote.callHash,
    vote.editedArgs === null ? null : toJsonb(vote.editedArgs),
    vote.voter,
    vote.subjects,
    record.event.type,
    toJsonb(record.event.data),
    toAuditJson(record.audit),
  ]);
  return rows[0] === undefined ? null : getApproval(db, vote.tenantId, vote.approvalId);
}
