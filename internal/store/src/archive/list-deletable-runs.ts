import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/** Which of the named runs may be deleted: ended, old enough, unchanged since they were read, and nobody needs them. */
const LIST_DELETABLE_RUNS: Statement = {
  name: 'list-deletable-runs',
  text: `
SELECT r.id, r.trace_id, r.last_seq, r.step_count FROM runs r JOIN jsonb_to_recordset($2::jsonb) AS named(id uuid, last_seq bigint) ON r.id = named.id AND r.last_seq = named.last_seq
WHERE r.tenant_id = $1 AND r.status IN ('completed', 'failed', 'cancelled') AND r.finished_at < $3::timestamptz
  AND r.id NOT IN (SELECT run_id FROM feedback WHERE tenant_id = $1 AND collected_at IS NULL)
ORDER BY r.finished_at, r.id`,
};

/** A run as it was when it was read for the archive. */
export interface NamedRun {
  readonly id: string;
  readonly lastSeq: number;
}

export interface DeletableRun extends NamedRun {
  readonly traceId: string;
  readonly stepCount: number;
}

export async function listDeletableRuns(db: Queryable, tenantId: string, named: readonly NamedRun[], finishedBefore: Date): Promise<readonly DeletableRun[]> {
  const values = toJsonb(named.map(({ id, lastSeq }) => ({ id, last_seq: lastSeq })));
  const { rows } = await run<{ id: string; trace_id: string; last_seq: string; step_count: number }>(db, LIST_DELETABLE_RUNS, [tenantId, values, finishedBefore]);
  return rows.map((row) => ({ id: row.id, lastSeq: Number(row.last_seq), traceId: row.trace_id, stepCount: row.step_count }));
}
