import type { Schedule } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ScheduleRow } from './schedule-row.ts';
import { toSchedule } from './schedule-row.ts';

/**
 * Of every tenant: what is due and what nobody is at. SKIP LOCKED: nodes that look at the same moment
 * take different ones. The clock is the database's, so a node whose own is wrong fires on time all the same.
 *
 * $1 most to take, $2 ms until others may take them again, $3 the time in place of the database's (tests).
 */
const CLAIM_DUE_SCHEDULES: Statement = {
  name: 'claim-due-schedules',
  text: `
WITH clock AS (
  SELECT COALESCE($3::timestamptz, now()) AS now
), due AS (
  SELECT s.tenant_id, s.id FROM schedules s, clock
  WHERE s.next_at IS NOT NULL AND GREATEST(s.next_at, s.claimed_until) <= clock.now
  ORDER BY GREATEST(s.next_at, s.claimed_until) LIMIT $1 FOR UPDATE OF s SKIP LOCKED
), claimed AS (
  UPDATE schedules s SET claimed_until = clock.now + $2::int * interval '1 millisecond'
  FROM due, clock WHERE s.tenant_id = due.tenant_id AND s.id = due.id
  RETURNING s.*
)
SELECT clock.now AS looked_at, (SELECT min(GREATEST(next_at, claimed_until)) FROM schedules WHERE next_at IS NOT NULL) AS look_again_at, c.*
FROM clock LEFT JOIN claimed c ON true`,
};

export interface DueSchedules {
  readonly now: Date;
  readonly due: readonly (Schedule & { readonly nextAt: Date })[];
  /** Right only when nothing is due; then it is the next time at which something is. */
  readonly lookAgainAt: Date | null;
}

type ClaimedRow = { readonly looked_at: Date; readonly look_again_at: Date | null } & (ScheduleRow | { readonly [column in keyof ScheduleRow]: null });

export async function claimDueSchedules(db: Queryable, claim: { readonly limit: number; readonly leaseMs: number; readonly now?: Date | undefined }): Promise<DueSchedules> {
  const { rows } = await run<ClaimedRow>(db, CLAIM_DUE_SCHEDULES, [claim.limit, claim.leaseMs, claim.now]);
  const [first] = rows;
  const due = rows.flatMap((row) => (row.id === null || row.next_at === null ? [] : [{ ...toSchedule(row), nextAt: row.next_at }]));
  return { now: first?.looked_at ?? new Date(0), due: due.toSorted((a, b) => a.nextAt.getTime() - b.nextAt.getTime()), lookAgainAt: first?.look_again_at ?? null };
}
