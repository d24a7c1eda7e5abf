import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** R2: one row per node, not per run. */
const BEAT_NODE: Statement = {
  name: 'beat-node',
  text: 'UPDATE nodes SET heartbeat_at = now() WHERE id = $1 AND stopped_at IS NULL',
};

/** false: somebody has declared this node dead; it must stop. */
export async function beatNode(db: Queryable, nodeId: string): Promise<boolean> {
  const { rowCount } = await run(db, BEAT_NODE, [nodeId]);
  return rowCount === 1;
}
