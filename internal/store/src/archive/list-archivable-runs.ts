import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/**
 * Runs that ended before a time, oldest first, through the index of ended runs. One whose feedback has
 * not become rows of the data set yet is left out: the collector still needs its input and output.
 *
 * $1 tenant, $2 end of the age, $3 and $4 the place after which to go on, or null, $5 most runs.
 */
const LIST_ARCHIVABLE_RUNS: Statement = {
  name: 'list-archivable-runs',
  text: `
SELECT id, last_seq, step_count, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS finished_at
FROM runs
WHERE tenant_id = $1 AND status IN ('completed', 'failed', 'cancelled') AND finished_at < $2::timestamptz
  AND ($3::timestamptz IS NULL OR (finished_at, id) > ($3::timestamptz, $4::uuid))
  AND id NOT IN (SELECT run_id FROM feedback WHERE tenant_id = $1 AND collected_at IS NULL)
ORDER BY finished_at, id LIMIT $5`,
};

export interface ArchivableRun {
  readonly id: string;
  /** Number of its newest event: a run that changes afterwards has another. */
  readonly lastSeq: number;
  readonly stepCount: number;
  /** RFC 3339, microseconds. */
  readonly finishedAt: string;
}

export async function listArchivableRuns(
  db: Queryable,
  query: { readonly tenantId: string; readonly finishedBefore: Date; readonly after: Pick<ArchivableRun, 'id' | 'finishedAt'> | null; readonly limit: number },
): Promise<readonly ArchivableRun[]> {
  const { rows } = await run<{ id: string; last_seq: string; step_count: number; finished_at: string }>(db, LIST_ARCHIVABLE_RUNS, [query.tenantId, query.finishedBefore, query.after?.finishedAt ?? null, query.after?.id ?? null, query.limit]);
  return rows.map((row) => ({ id: row.id, lastSeq: Number(row.last_seq), stepCount: row.step_count, finishedAt: row.finished_at }));
}
