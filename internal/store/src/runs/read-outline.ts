import type { Step } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { StepRow } from '../rows.ts';
import { toStep } from '../rows.ts';

/**
 * The journal without what only a think needs: of all that came before the newest think, results, proposals
 * and strategy state are left out. Large results lie out of line (TOAST) and are not even read, so a
 * decision reaches its call as promptly after a thousand long steps as after one. Of their lineage one ref of
 * each label is kept: a call that may ask a model must know how secret what the run has read is.
 */
const READ_OUTLINE: Statement = {
  name: 'read-outline',
  text: `
WITH newest AS (SELECT max(no) AS no FROM run_steps WHERE tenant_id = $1 AND run_id = $2 AND kind = 'think')
SELECT s.no, s.id, s.kind, s.status, s.policy_version, s.agent_version, s.decision, s.error, s.started_at, s.finished_at, s.usage, s.model,
  s.think_no, s.call_id, s.tool, s.approval_id, s.attempts, s.suspicious,
  CASE WHEN s.no >= newest.no THEN s.args END AS args,
  CASE WHEN s.no >= newest.no THEN s.proposal END AS proposal,
  CASE WHEN s.no >= newest.no THEN s.strategy_state END AS strategy_state,
  CASE WHEN s.no >= newest.no THEN s.reported_by_runtime END AS reported_by_runtime,
  CASE WHEN s.no >= newest.no THEN s.lineage ELSE (
    SELECT jsonb_agg(labels.ref) FROM (SELECT DISTINCT ON (l.ref->'sensitivity') l.ref FROM jsonb_array_elements(s.lineage) AS l(ref)) AS labels
  ) END AS lineage,
  CASE WHEN s.no >= newest.no THEN s.result END AS result
FROM run_steps s CROSS JOIN newest WHERE s.tenant_id = $1 AND s.run_id = $2 ORDER BY s.no`,
};

/** In order; the newest think and its acts are whole. */
export async function readOutline(db: Queryable, tenantId: string, runId: string): Promise<readonly Step[]> {
  const { rows } = await run<StepRow>(db, READ_OUTLINE, [tenantId, runId]);
  return rows.map(toStep);
}
