import type { ClaimedRun } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { AgentRow, RunRow } from '../rows.ts';
import { toAgent, toRun } from '../rows.ts';

/**
 * Takes over runs that are due and runs that nobody drives, in one statement: the status, the next
 * lease epoch (R2) and the event that says so (R3). SKIP LOCKED lets many nodes claim at once
 * without waiting for each other. Nobody drives the runs of a dead node, nor those of the asking node
 * that it does not have in hand: it let go of them, or never got the answer to an earlier claim.
 * Orphans come first: they have waited for a dead node already, and there may always be more that is due.
 *
 * $1 node id, $2 most runs to take, $3 ms without heartbeat after which a node is dead, $4 runs in hand.
 */
const CLAIM_RUNS: Statement = {
  name: 'claim-runs',
  text: `
WITH due AS (
  SELECT tenant_id, id, status, NULL::text AS lost_node FROM runs
  WHERE status IN ('pending', 'paused') AND wake_at <= now()
  ORDER BY wake_at LIMIT $2 FOR UPDATE SKIP LOCKED
), orphan AS (
  SELECT r.tenant_id, r.id, r.status, r.node_id::text AS lost_node FROM runs r
  WHERE r.status = 'running' AND CASE WHEN r.node_id = $1::uuid THEN r.id <> ALL ($4::uuid[]) ELSE NOT EXISTS (
    SELECT 1 FROM nodes n WHERE n.id = r.node_id AND n.stopped_at IS NULL AND n.heartbeat_at > now() - $3::int * interval '1 millisecond') END
  LIMIT $2 FOR UPDATE OF r SKIP LOCKED
), taken AS (
  SELECT * FROM orphan UNION ALL SELECT * FROM due LIMIT $2
), claimed AS (
  UPDATE runs r SET
    status = 'running', node_id = $1::uuid, lease_epoch = r.lease_epoch + 1, wake_at = NULL, pause_reason = NULL,
    started_at = COALESCE(r.started_at, now()), last_seq = r.last_seq + 1
  FROM taken WHERE r.tenant_id = taken.tenant_id AND r.id = taken.id
  RETURNING r.*, taken.status AS status_before, taken.lost_node
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data)
  SELECT tenant_id, id, last_seq,
    CASE status_before WHEN 'pending' THEN 'run_started' ELSE 'run_resumed' END,
    jsonb_build_object('run_id', id, 'status', 'running', 'trace_id', trace_id)
      || CASE status_before
           WHEN 'pending' THEN jsonb_build_object('agent', agent_name, 'agent_version', agent_version, 'policy_version', policy_version)
           WHEN 'running' THEN jsonb_build_object('reason', 'node_lost', 'lost_node', lost_node)
           ELSE '{}'::jsonb END
  FROM claimed
)
SELECT c.*, a.name AS a_name, a.version AS a_version, a.configuration, a.status AS a_status, a.created_at AS a_created_at, a.updated_at AS a_updated_at
FROM claimed c JOIN agents a ON a.tenant_id = c.tenant_id AND a.id = c.agent_id`,
};

interface ClaimedRow extends RunRow {
  readonly a_name: string;
  readonly a_version: string;
  readonly configuration: AgentRow['configuration'];
  readonly a_status: AgentRow['status'];
  readonly a_created_at: Date;
  readonly a_updated_at: Date;
}

export async function claimRuns(
  db: Queryable,
  claim: { readonly nodeId: string; readonly limit: number; readonly deadAfterMs: number; readonly inHand: readonly string[] },
): Promise<readonly ClaimedRun[]> {
  const { rows } = await run<ClaimedRow>(db, CLAIM_RUNS, [claim.nodeId, claim.limit, claim.deadAfterMs, claim.inHand]);
  return rows.map((row) => ({
    run: toRun(row),
    lease: { tenantId: row.tenant_id, runId: row.id, nodeId: claim.nodeId, epoch: Number(row.lease_epoch) },
    commitNo: Number(row.commit_no),
    signalNo: Number(row.signal_no),
    rootSpanId: row.root_span_id,
    agent: toAgent({
      tenant_id: row.tenant_id,
      id: row.agent_id,
      name: row.a_name,
      version: row.a_version,
      configuration: row.configuration,
      status: row.a_status,
      created_at: row.a_created_at,
      updated_at: row.a_updated_at,
      is_current: false,
    }),
  }));
}
