import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { NamedRun } from './list-deletable-runs.ts';

/**
 * Ended runs with all that hangs on them; approvals and their votes go by their foreign keys. The audit, feedback and
 * the preference data set stay. A run that has changed since it was read stays too (feedback is an
 * event of its run), so nothing is deleted that is in no archive.
 */
const DELETE_RUNS: Statement = {
  name: 'delete-runs',
  text: `
WITH gone AS (
  DELETE FROM runs r USING jsonb_to_recordset($2::jsonb) AS named(id uuid, last_seq bigint)
  WHERE r.tenant_id = $1 AND r.id = named.id AND r.last_seq = named.last_seq
    AND r.status IN ('completed', 'failed', 'cancelled') AND r.finished_at < $3::timestamptz
  RETURNING r.tenant_id, r.id
), steps AS (
  DELETE FROM run_steps s USING gone WHERE s.tenant_id = gone.tenant_id AND s.run_id = gone.id
), events AS (
  DELETE FROM run_events e USING gone WHERE e.tenant_id = gone.tenant_id AND e.run_id = gone.id
), used AS (
  DELETE FROM usage u USING gone WHERE u.tenant_id = gone.tenant_id AND u.run_id = gone.id
)
SELECT id FROM gone`,
};

/** How many were deleted; the caller undoes all of it when that is not all. */
export async function deleteRuns(db: Queryable, tenantId: string, named: readonly NamedRun[], finishedBefore: Date): Promise<number> {
  const values = toJsonb(named.map(({ id, lastSeq }) => ({ id, last_seq: lastSeq })));
  const { rowCount } = await run(db, DELETE_RUNS, [tenantId, values, finishedBefore]);
  return rowCount ?? 0;
}
