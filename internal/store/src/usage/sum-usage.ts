import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const SUM_USAGE: Statement = {
  name: 'sum-usage',
  text: `
SELECT CASE $4::text
    WHEN 'agent' THEN (SELECT a.name || '@' || a.version FROM agents a WHERE a.tenant_id = u.tenant_id AND a.id = u.agent_id)
    WHEN 'user' THEN u.user_id WHEN 'model' THEN u.model
    ELSE to_char(u.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') END AS key,
  count(DISTINCT u.run_id) AS runs, sum(u.prompt_tokens) AS prompt_tokens, sum(u.completion_tokens) AS completion_tokens, sum(u.cost_usd_micros) AS cost_usd_micros
FROM usage u
WHERE u.tenant_id = $1 AND ($2::timestamptz IS NULL OR u.created_at >= $2) AND ($3::timestamptz IS NULL OR u.created_at < $3)
GROUP BY 1 ORDER BY 1`,
};

export type UsageGroup = 'agent' | 'user' | 'model' | 'day';

export interface UsageSum {
  readonly key: string;
  readonly runs: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costUsdMicros: number;
}

export async function sumUsage(
  db: Queryable,
  query: { readonly tenantId: string; readonly from?: Date | undefined; readonly to?: Date | undefined; readonly groupBy: UsageGroup },
): Promise<readonly UsageSum[]> {
  const { rows } = await run<{ key: string | null; runs: string; prompt_tokens: string; completion_tokens: string; cost_usd_micros: string }>(db, SUM_USAGE, [
    query.tenantId,
    query.from,
    query.to,
    query.groupBy,
  ]);
  return rows.map((row) => ({
    key: row.key ?? 'unknown',
    runs: Number(row.runs),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    costUsdMicros: Number(row.cost_usd_micros),
  }));
}
