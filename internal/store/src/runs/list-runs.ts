import type { Run, RunStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { RunRow } from '../rows.ts';
import { toRun } from '../rows.ts';

/** Newest first; ids are UUIDv7, so the id is the order and the cursor. */
const LIST_RUNS: Statement = {
  name: 'list-runs',
  text: `
SELECT * FROM runs
WHERE tenant_id = $1
  AND ($2::text IS NULL OR status = $2)
  AND ($3::uuid IS NULL OR agent_id = $3)
  AND ($4::text IS NULL OR user_id = $4)
  AND ($5::text IS NULL OR source = $5)
  AND ($6::uuid IS NULL OR id < $6)
ORDER BY id DESC LIMIT $7`,
};

export interface RunFilter {
  readonly tenantId: string;
  readonly status?: RunStatus | undefined;
  readonly agentId?: string | undefined;
  readonly userId?: string | undefined;
  readonly source?: string | undefined;
  /** Only runs older than this one. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export async function listRuns(db: Queryable, filter: RunFilter): Promise<readonly Run[]> {
  const { tenantId, status, agentId, userId, source, before, limit } = filter;
  const { rows } = await run<RunRow>(db, LIST_RUNS, [tenantId, status, agentId, userId, source, before, limit]);
  return rows.map(toRun);
}
