import type { JsonValue } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

export interface NewFeedback {
  readonly tenantId: string;
  readonly id: string;
  readonly runId: string;
  readonly userId: string;
  readonly score: -1 | 1;
  readonly correction: string | null;
  readonly category: string | null;
}

const ADD_FEEDBACK: Statement = {
  name: 'add-feedback',
  text: `
WITH noted AS (
  UPDATE runs SET last_seq = last_seq + 1 WHERE tenant_id = $1 AND id = $3 RETURNING tenant_id, id, last_seq
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data)
  SELECT tenant_id, id, last_seq, 'feedback_received', jsonb_build_object('feedback_id', $2::uuid, 'score', $5::int, 'category', $7::text) FROM noted
)
INSERT INTO feedback (tenant_id, id, run_id, user_id, score, correction, category)
SELECT $1, $2, id, $4, $5, $6, $7 FROM noted`,
};

/** false: no such run. */
export async function addFeedback(db: Queryable, feedback: NewFeedback): Promise<boolean> {
  const { rowCount } = await run(db, ADD_FEEDBACK, [
    feedback.tenantId,
    feedback.id,
    feedback.runId,
    feedback.userId,
    feedback.score,
    feedback.correction,
    feedback.category,
  ]);
  return rowCount === 1;
}

/** Feedback on runs that have ended and that is not in the data set yet. */
const LIST_WAITING_FEEDBACK: Statement = {
  name: 'list-waiting-feedback',
  text: `
SELECT f.tenant_id, f.id, f.run_id, f.score, f.correction, f.category, r.agent_name, r.agent_version, r.input_payload, r.output_payload, r.status
FROM feedback f JOIN runs r ON r.tenant_id = f.tenant_id AND r.id = f.run_id
WHERE f.collected_at IS NULL AND r.status IN ('completed', 'failed', 'cancelled')
ORDER BY f.created_at LIMIT $1`,
};

export interface WaitingFeedback {
  readonly tenantId: string;
  readonly id: string;
  readonly runId: string;
  readonly score: -1 | 1;
  readonly correction: string | null;
  readonly category: string | null;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly input: JsonValue;
  /** null when the run ended without an answer. */
  readonly output: JsonValue | null;
}

export async function listWaitingFeedback(db: Queryable, limit: number): Promise<readonly WaitingFeedback[]> {
  const { rows } = await run<{
    tenant_id: string;
    id: string;
    run_id: string;
    score: number;
    correction: string | null;
    category: string | null;
    agent_name: string;
    agent_version: string;
    input_payload: JsonValue;
    output_payload: JsonValue;
  }>(db, LIST_WAITING_FEEDBACK, [limit]);
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    id: row.id,
    runId: row.run_id,
    score: row.score === 1 ? 1 : -1,
    correction: row.correction,
    category: row.category,
    agentName: row.agent_name,
    agentVersion: row.agent_version,
    input: row.input_payload,
    output: row.output_payload,
  }));
}
