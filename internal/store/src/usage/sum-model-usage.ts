import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** The dearest first; days in their order. Hours count whole: by their beginning. */
const SUM_MODEL_USAGE: Statement = {
  name: 'sum-model-usage',
  text: `
SELECT CASE $4::text
    WHEN 'key' THEN COALESCE((SELECT k.name FROM model_keys k WHERE k.tenant_id = u.tenant_id AND k.id::text = u.key_id), u.key_id)
    WHEN 'agent' THEN COALESCE((SELECT a.name || '@' || a.version FROM agents a WHERE a.tenant_id = u.tenant_id AND a.id::text = u.agent_id), u.agent_id)
    WHEN 'user' THEN u.user_id WHEN 'run' THEN u.run_id WHEN 'model' THEN u.model WHEN 'backend' THEN u.backend WHEN 'cache' THEN u.cache WHEN 'kind' THEN u.kind
    ELSE to_char(u.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD') END AS key,
  sum(u.calls) AS calls, sum(u.failed) AS failed, sum(u.prompt_tokens) AS prompt_tokens, sum(u.completion_tokens) AS completion_tokens,
  sum(u.cached_tokens) AS cached_tokens, sum(u.reasoning_tokens) AS reasoning_tokens, sum(u.cost_usd_nanos) AS cost_usd_nanos,
  sum(u.estimated) AS estimated, sum(u.latency_ms) AS latency_ms
FROM (
  SELECT tenant_id, hour, key_id, agent_id, user_id, run_id, model, backend, cache, kind, calls, failed, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd_nanos, estimated, latency_ms
  FROM model_usage
  WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR hour >= date_trunc('hour', $2::timestamptz, 'UTC')) AND ($3::timestamptz IS NULL OR hour < $3) AND ($5::text IS NULL OR user_id = $5)
) u
GROUP BY 1 ORDER BY CASE WHEN $4::text = 'day' THEN 0 ELSE sum(u.cost_usd_nanos) END DESC, CASE WHEN $4::text = 'day' THEN 0 ELSE sum(u.calls) END DESC, 1
LIMIT $6`,
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
