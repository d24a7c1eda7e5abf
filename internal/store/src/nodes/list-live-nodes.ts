import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const LIST_LIVE_NODES: Statement = { name: 'list-live-nodes', text: 'SELECT id FROM nodes WHERE stopped_at IS NULL' };

/** Nodes that have not signed off; a node's id is also the id of its audit chain. */
export async function listLiveNodes(db: Queryable): Promise<readonly string[]> {
  const { rows } = await run<{ id: string }>(db, LIST_LIVE_NODES, []);
  return rows.map(({ id }) => id);
}
