import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Nodes that have not signed off, or that still own runs. Through the index of owned runs. */
const LIST_NODE_FACTS: Statement = {
  name: 'list-node-facts',
  text: `
WITH owned AS (SELECT node_id, count(*)::int AS runs FROM runs WHERE status = 'running' GROUP BY node_id)
SELECT n.id, n.host, n.pid, n.version, n.stopped_at IS NOT NULL AS has_stopped, COALESCE(owned.runs, 0) AS runs,
  extract(epoch FROM now() - n.heartbeat_at)::float8 * 1000 AS silent_ms,
  CASE WHEN n.clock_measured_at > now() - interval '5 minutes' THEN n.clock_ahead_ms END AS clock_ahead_ms
FROM nodes n LEFT JOIN owned ON owned.node_id = n.id
WHERE owned.runs > 0 OR (n.stopped_at IS NULL AND n.heartbeat_at > now() - interval '1 day')
ORDER BY n.heartbeat_at DESC LIMIT $1`,
};

export interface NodeFacts {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly hasStopped: boolean;
  /** Running runs that it owns. */
  readonly runs: number;
  /** Since its last heartbeat. */
  readonly silentMs: number;
  /** By how much its clock is ahead of the database's; null: not measured lately. */
  readonly clockAheadMs: number | null;
}

export async function listNodeFacts(db: Queryable, limit: number): Promise<readonly NodeFacts[]> {
  const { rows } = await run<{ id: string; host: string; pid: number; version: string; has_stopped: boolean; runs: number; silent_ms: number; clock_ahead_ms: number | null }>(db, LIST_NODE_FACTS, [limit]);
  return rows.map((row) => ({ id: row.id, host: row.host, pid: row.pid, version: row.version, hasStopped: row.has_stopped, runs: row.runs, silentMs: row.silent_ms, clockAheadMs: row.clock_ahead_ms }));
}
