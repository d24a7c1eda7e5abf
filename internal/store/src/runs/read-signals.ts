import type { RunSignals } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ApprovalRow } from '../rows.ts';
import { APPROVAL_COLUMNS, toApproval } from '../rows.ts';

/**
 * One snapshot of all that people have sent to a run: a signal number never stands beside older
 * approvals. A pending approval whose time is up reads as expired, by the same clock that refuses
 * decisions; its `decidedAt` stays null until the expiry is written.
 */
const READ_SIGNALS: Statement = {
  name: 'read-signals',
  text: `
SELECT r.signal_no, r.cancel_requested_at, r.cancel_requested_by, r.cancel_reason, to_jsonb(x.*) || CASE WHEN a.status = 'pending' AND a.expires_at <= now() THEN '{"status": "expired"}'::jsonb ELSE '{}'::jsonb END AS approval
FROM runs r LEFT JOIN approvals a ON a.tenant_id = r.tenant_id AND a.run_id = r.id
  LEFT JOIN LATERAL (SELECT ${APPROVAL_COLUMNS}) x ON a.id IS NOT NULL
WHERE r.tenant_id = $1 AND r.id = $2 ORDER BY a.id`,
};

type JsonApproval = Omit<ApprovalRow, 'created_at' | 'expires_at' | 'decided_at' | 'read_at'> & { created_at: string; expires_at: string; decided_at: string | null; read_at: string };

export async function readSignals(db: Queryable, tenantId: string, runId: string): Promise<RunSignals> {
  const { rows } = await run<{
    signal_no: string;
    cancel_requested_at: Date | null;
    cancel_requested_by: string | null;
    cancel_reason: string | null;
    approval: JsonApproval | null;
  }>(db, READ_SIGNALS, [tenantId, runId]);
  const first = rows[0];
  if (first === undefined) throw new PlatformError('not_found', 'There is no such run.');
  return {
    signalNo: Number(first.signal_no),
    cancelRequestedBy: first.cancel_requested_at === null ? null : (first.cancel_requested_by ?? 'unknown'),
    cancelReason: first.cancel_reason,
    approvals: rows.flatMap(({ approval }) => (approval === null ? [] : [toApproval(withDates(approval))])),
  };
}

const withDates = (row: JsonApproval): ApprovalRow => ({
  ...row,
  read_at: new Date(row.read_at),
  created_at: new Date(row.created_at),
  expires_at: new Date(row.expires_at),
  decided_at: row.decided_at === null ? null : new Date(row.decided_at),
});
