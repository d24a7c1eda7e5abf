import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/** Adds `EXCLUDED` to the row `u` of the same hour, key, user, agent, run, backend, model, kind and cache state. */
export const ADD_TO_HOUR = `
ON CONFLICT (tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache) DO UPDATE SET
  calls = u.calls + EXCLUDED.calls, failed = u.failed + EXCLUDED.failed,
  prompt_tokens = u.prompt_tokens + EXCLUDED.prompt_tokens, completion_tokens = u.completion_tokens + EXCLUDED.completion_tokens,
  cached_tokens = u.cached_tokens + EXCLUDED.cached_tokens, reasoning_tokens = u.reasoning_tokens + EXCLUDED.reasoning_tokens,
  cost_usd_nanos = u.cost_usd_nanos + EXCLUDED.cost_usd_nanos, estimated = u.estimated + EXCLUDED.estimated, latency_ms = u.latency_ms + EXCLUDED.latency_ms`;

/** Adds to the hours in one statement, in the order of their keys; a batch that is known adds nothing. */
const WRITE_MODEL_USAGE: Statement = {
  name: 'write-model-usage',
  text: `
WITH fresh AS (
  INSERT INTO model_usage_batches (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1
)
INSERT INTO model_usage AS u (tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache,
  calls, failed, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd_nanos, estimated, latency_ms)
SELECT tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache,
  calls, failed, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_usd_nanos, estimated, latency_ms
FROM jsonb_to_recordset($2::jsonb) AS x(tenant_id text, hour timestamptz, key_id text, user_id text, agent_id text, run_id text, backend text, model text, kind text, cache text,
  calls bigint, failed bigint, prompt_tokens bigint, completion_tokens bigint, cached_tokens bigint, reasoning_tokens bigint, cost_usd_nanos bigint, estimated bigint, latency_ms bigint)
WHERE EXISTS (SELECT 1 FROM fresh)
ORDER BY tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache${ADD_TO_HOUR}`,
};

/** What one hour, key, user, agent, run, backend, model, kind and cache state have in common. Empty texts: none. */
export interface ModelUsageRow {
  readonly tenantId: string;
  /** Beginning of the hour. */
  readonly hour: Date;
  readonly keyId: string;
  readonly userId: string;
  readonly agentId: string;
  readonly runId: string;
  readonly backend: string;
  readonly model: string;
  readonly kind: string;
  readonly cache: string;
  readonly calls: number;
  readonly failed: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
  readonly costUsdNanos: number;
  /** Calls whose tokens were estimated. */
  readonly estimated: number;
  readonly latencyMs: number;
}

/** `batchId`: a UUID; the same batch again adds nothing. Rows differ in their key. Errors: `unavailable`: send the same again. */
export async function writeModelUsage(db: Queryable, batchId: string, rows: readonly ModelUsageRow[]): Promise<void> {
  const items = rows.map((row) => ({
    tenant_id: row.tenantId,
    hour: row.hour,
    key_id: row.keyId,
    user_id: row.userId,
    agent_id: row.agentId,
    run_id: row.runId,
    backend: row.backend,
    model: row.model,
    kind: row.kind,
    cache: row.cache,
    calls: row.calls,
    failed: row.failed,
    prompt_tokens: row.promptTokens,
    completion_tokens: row.completionTokens,
    cached_tokens: row.cachedTokens,
    reasoning_tokens: row.reasoningTokens,
    cost_usd_nanos: row.costUsdNanos,
    estimated: row.estimated,
    latency_ms: row.latencyMs,
  }));
  await run(db, WRITE_MODEL_USAGE, [batchId, toJsonb(items)]);
}
