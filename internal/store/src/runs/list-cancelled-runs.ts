import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const LIST_CANCELLED_RUNS: Statement = {
  name: 'list-cancelled-runs',
  text: `SELECT id FROM runs WHERE node_id = $1 AND status = 'running' AND cancel_requested_at IS NOT NULL`,
};

/** Runs of a node that somebody wants to end: what they are doing now is aborted (R7). */
export async function listCancelledRuns(db: Queryable, nodeId: string): Promise<readonly string[]> {
  const { rows } = await run<{ id: string }>(db, LIST_CANCELLED_RUNS, [nodeId]);
  return rows.map(({ id }) => id);
}
