import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const STOP_NODE: Statement = { name: 'stop-node', text: 'UPDATE nodes SET stopped_at = now() WHERE id = $1 AND stopped_at IS NULL' };
const STOP_ALL_NODES: Statement = { name: 'stop-all-nodes', text: 'UPDATE nodes SET stopped_at = now() WHERE stopped_at IS NULL' };

/** Its runs can be taken over at once, without waiting for its heartbeat to grow old. */
export async function stopNode(db: Queryable, nodeId: string): Promise<void> {
  await run(db, STOP_NODE, [nodeId]);
}

/** For the embedded store alone: whoever owns the data folder knows that every earlier node is dead. */
export async function stopAllNodes(db: Queryable): Promise<void> {
  await run(db, STOP_ALL_NODES, []);
}
