import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const SUM_ARCHIVABLE_RUNS: Statement = {
  name: 'sum-archivable-runs',
  text: `
SELECT count(*) AS runs, COALESCE(sum(step_count), 0) AS steps, min(finished_at) AS oldest, max(finished_at) AS newest
FROM runs WHERE tenant_id = $1 AND status IN ('completed', 'failed', 'cancelled') AND finished_at < $2::timestamptz
  AND id NOT IN (SELECT run_id FROM feedback WHERE tenant_id = $1 AND collected_at IS NULL)`,
};

export interface ArchivableSum {
  readonly runs: number;
  readonly steps: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
}

export async function sumArchivableRuns(db: Queryable, tenantId: string, finishedBefore: Date): Promise<ArchivableSum> {
  const { rows } = await run<{ runs: string; steps: string; oldest: Date | null; newest: Date | null }>(db, SUM_ARCHIVABLE_RUNS, [tenantId, finishedBefore]);
  const row = rows[0];
  return { runs: Number(row?.runs ?? 0), steps: Number(row?.steps ?? 0), oldest: row?.oldest ?? null, newest: row?.newest ?? null };
}
