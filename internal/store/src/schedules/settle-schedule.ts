import type { FireOutcome, ScheduleError } from '@openeaap/kernel';
import type { AuditRow } from '../audit/audit-row.ts';
import { appendAudit } from '../audit/append-audit.ts';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/** Moves a schedule to its next time, if nobody has before, and says what came of the fire. */
const SETTLE_SCHEDULE: Statement = {
  name: 'settle-schedule',
  text: `
UPDATE schedules SET
  next_at = $4::timestamptz, claimed_until = NULL, last_at = COALESCE($5::timestamptz, last_at), last_outcome = COALESCE($6, last_outcome),
  last_run_id = COALESCE($7::uuid, last_run_id), last_error = $8::jsonb, failures = $9
WHERE tenant_id = $1 AND id = $2 AND next_at = $3::timestamptz`,
};

/**
 * A run was started, but the schedule was moved meanwhile: by a person who changed it, or by a node
 * that found the run when this one had seemed dead. The second has written the run down already.
 */
const RECORD_STRAY_RUN: Statement = {
  name: 'record-stray-run',
  text: `
WITH known AS (
  SELECT 1 FROM schedules WHERE tenant_id = $1 AND id = $2 AND last_run_id = $3::uuid
), recorded AS (
  UPDATE schedules SET last_at = $4::timestamptz, last_outcome = 'started', last_run_id = $3::uuid, last_error = NULL
  WHERE tenant_id = $1 AND id = $2 AND NOT EXISTS (SELECT 1 FROM known)
)
SELECT EXISTS (SELECT 1 FROM known) AS is_known`,
};

export interface ScheduleSettlement {
  readonly tenantId: string;
  readonly scheduleId: string;
  readonly expectedNextAt: Date;
  readonly nextAt: Date | null;
  readonly fireAt: Date | null;
  readonly outcome: FireOutcome | null;
  readonly runId: string | null;
  readonly isNewRun: boolean;
  readonly error: ScheduleError | null;
  readonly failures: number;
}

/** One transaction of the commit lane. null: nothing was written; somebody else has settled the fire, or there is nothing to say of it. */
export async function settleSchedule(db: Queryable, settlement: ScheduleSettlement, audit: readonly AuditRow[]): Promise<true | null> {
  const { tenantId, scheduleId, expectedNextAt, nextAt, fireAt, outcome, runId, error, failures } = settlement;
  const { rowCount } = await run(db, SETTLE_SCHEDULE, [tenantId, scheduleId, expectedNextAt, nextAt, fireAt, outcome, runId, error === null ? null : toJsonb(error), failures]);
  if (rowCount !== 1 && (!settlement.isNewRun || (await isKnown(db, settlement)))) return null;
  return audit.length > 0 ? appendAudit(db, audit) : true;
}

async function isKnown(db: Queryable, { tenantId, scheduleId, runId, fireAt }: ScheduleSettlement): Promise<boolean> {
  const { rows } = await run<{ is_known: boolean }>(db, RECORD_STRAY_RUN, [tenantId, scheduleId, runId, fireAt]);
  return rows[0]?.is_known === true;
}
