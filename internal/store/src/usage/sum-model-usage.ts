import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/**
 * The dearest first; days in their order. Hours count whole: by their beginning. Names are looked up
 * for the groups, not for the rows: 20,000 rows of 1,000 keys take 15 ms
 * instead of 2.8 s.
 */
const SUM_MODEL_USAGE: Statement = {
  name: 'sum-model-usage',
  text: `
WITH sums AS (
  SELECT CASE $4::text WHEN 'key' THEN key_id WHEN 'agent' THEN agent_id WHEN 'user' THEN user_id WHEN 'run' THEN run_id
      WHEN 'model' THEN model WHEN 'backend' THEN backend WHEN 'cache' THEN cache WHEN 'kind' THEN kind
      ELSE to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD') END AS id,
    sum(calls) AS calls, sum(failed) AS failed, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
    sum(cached_tokens) AS cached_tokens, sum(reasoning_tokens) AS reasoning_tokens, sum(cost_usd_nanos) AS cost_usd_nanos,
    sum(estimated) AS estimated, sum(latency_ms) AS latency_ms
  FROM model_usage
  WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR hour >= date_trunc('hour', $2::timestamptz, 'UTC')) AND ($3::timestamptz IS NULL OR hour < $3) AND ($5::text IS NULL OR user_id = $5)
  GROUP BY 1 ORDER BY CASE WHEN $4::text = 'day' THEN 0 ELSE sum(cost_usd_nanos) END DESC, CASE WHEN $4::text = 'day' THEN 0 ELSE sum(calls) END DESC, 1
  LIMIT $6
), named AS MATERIALIZED (
  SELECT *, CASE WHEN $4::text IN ('key', 'agent') AND id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN id::uuid END AS uuid FROM sums
)
SELECT COALESCE(k.name, a.name || '@' || a.version, s.id) AS key,
  s.calls, s.failed, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.reasoning_tokens, s.cost_usd_nanos, s.estimated, s.latency_ms
FROM named s
  LEFT JOIN model_keys k ON $4::text = 'key' AND k.tenant_id = $1 AND k.id = s.uuid
  LEFT JOIN agents a ON $4::text = 'agent' AND a.tenant_id = $1 AND a.id = s.uuid
ORDER BY CASE WHEN $4::text = 'day' THEN 0 ELSE s.cost_usd_nanos END DESC, CASE WHEN $4::text = 'day' THEN 0 ELSE s.calls END DESC, 1`,
};

export type ModelUsageGroup = 'key' | 'user' | 'agent' | 'run' | 'model' | 'backend' | 'day' | 'cache' | 'kind';

export interface ModelUsageSum {
  /** Empty: none, e.g. calls without a key. */
  readonly key: string;
  readonly calls: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
  readonly costUsdNanos: number;
  readonly estimated: number;
  /** Sum over the calls. */
  readonly latencyMs: number;
}

export interface ModelUsageQuery {
  readonly tenantId: string;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly groupBy: ModelUsageGroup;
  /** Of this user alone. */
  readonly userId?: string | undefined;
  /** Most groups. */
  readonly limit: number;
}

export async function sumModelUsage(db: Queryable, query: ModelUsageQuery): Promise<readonly ModelUsageSum[]> {
  const { rows } = await run<SumRow>(db, SUM_MODEL_USAGE, [query.tenantId, query.from, query.to, query.groupBy, query.userId, query.limit]);
  return rows.map((row) => ({
    key: row.key,
    calls: Number(row.calls),
    failed: Number(row.failed),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    cachedTokens: Number(row.cached_tokens),
    reasoningTokens: Number(row.reasoning_tokens),
    costUsdNanos: Number(row.cost_usd_nanos),
    estimated: Number(row.estimated),
    latencyMs: Number(row.latency_ms),
  }));
}

type SumRow = Readonly<Record<'key' | 'calls' | 'failed' | 'prompt_tokens' | 'completion_tokens' | 'cached_tokens' | 'reasoning_tokens' | 'cost_usd_nanos' | 'estimated' | 'latency_ms', string>>;
