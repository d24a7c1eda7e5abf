import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import { ADD_TO_HOUR } from './write-model-usage.ts';

/** Older hours are kept without run and agent. */
export const USAGE_DETAIL_DAYS = 90;
const ROWS_MAX = 10_000;
const ROUNDS_MAX = 100;

/** In one statement, so that no sum is ever without them. Rows that another node rolls up are left to it. */
const ROLL_UP: Statement = {
  name: 'roll-up-model-usage',
  text: `
WITH gone AS (
  DELETE FROM model_usage WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM model_usage
    WHERE hour < date_trunc('day', now() - interval '${USAGE_DETAIL_DAYS} days', 'UTC') AND (run_id <> '' OR agent_id <> '')
    LIMIT ${ROWS_MAX} FOR UPDATE SKIP LOCKED))
  RETURNING *
), kept AS (
  INSERT INTO model_usage AS u (tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache,
    calls, failed, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd_nanos, estimated, latency_ms)
  SELECT tenant_id, hour, key_id, user_id, '', '', backend, model, kind, cache,
    sum(calls), sum(failed), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(reasoning_tokens), sum(cost_usd_nanos), sum(estimated), sum(latency_ms)
  FROM gone GROUP BY tenant_id, hour, key_id, user_id, backend, model, kind, cache
  ORDER BY tenant_id, hour, key_id, user_id, backend, model, kind, cache${ADD_TO_HOUR}
)
SELECT count(*) AS rows FROM gone`,
};

/** A million rows at most; the rest is for the next time. */
export async function rollUpModelUsage(db: Queryable): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { rows } = await run<{ rows: string }>(db, ROLL_UP, []);
    if (Number(rows[0]?.rows) < ROWS_MAX) return;
  }
}
