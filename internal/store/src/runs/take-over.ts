import type { ClaimedRun } from '@openeaap/kernel';
import type { AgentRow, RunRow } from '../rows.ts';
import { toAgent, toRun } from '../rows.ts';

/**
 * The end of both claims: takes over the rows of the CTE `taken (tenant_id, id, status, lost_node)`, which
 * are locked, for node $1: the status, the next lease epoch (R2) and the event that says so (R3).
 */
export const TAKE_OVER = `
claimed AS (
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
FROM claimed c JOIN agents a ON a.tenant_id = c.tenant_id AND a.id = c.agent_id`;

export interface ClaimedRow extends RunRow {
  readonly a_name: string;
  readonly a_version: string;
  readonly configuration: AgentRow['configuration'];
  readonly a_status: AgentRow['status'];
  readonly a_created_at: Date;
  readonly a_updated_at: Date;
}

export function toClaimedRun(row: ClaimedRow, nodeId: string): ClaimedRun {
  return {
    run: toRun(row),
    lease: { tenantId: row.tenant_id, runId: row.id, nodeId, epoch: Number(row.lease_epoch) },
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
  };
}
