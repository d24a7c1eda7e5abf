import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** A row of the preference data set. Both answers make a DPO pair; one alone an unpaired example (good when `chosen`). */
export interface PreferencePair {
  readonly tenantId: string;
  readonly id: string;
  readonly runId: string;
  readonly feedbackId: string;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly prompt: string;
  readonly chosen: string | null;
  readonly rejected: string | null;
  readonly category: string | null;
  readonly createdAt: Date;
}

/** One feedback becomes at most one row, however often the collector looks at it. */
const COLLECT_PAIR: Statement = {
  name: 'collect-pair',
  text: `
WITH taken AS (
  UPDATE feedback SET collected_at = now() WHERE tenant_id = $1 AND id = $4 AND collected_at IS NULL RETURNING id
)
INSERT INTO preference_pairs (tenant_id, id, run_id, feedback_id, agent_name, agent_version, prompt, chosen, rejected, category)
SELECT $1, $2, $3, taken.id, $5, $6, $7, $8, $9, $10 FROM taken WHERE $8::text IS NOT NULL OR $9::text IS NOT NULL
ON CONFLICT (tenant_id, feedback_id) DO NOTHING`,
};

export async function collectPair(db: Queryable, pair: Omit<PreferencePair, 'createdAt'>): Promise<boolean> {
  const { rowCount } = await run(db, COLLECT_PAIR, [
    pair.tenantId,
    pair.id,
    pair.runId,
    pair.feedbackId,
    pair.agentName,
    pair.agentVersion,
    pair.prompt,
    pair.chosen,
    pair.rejected,
    pair.category,
  ]);
  return rowCount === 1;
}

const LIST_PAIRS: Statement = {
  name: 'list-pairs',
  text: `
SELECT * FROM preference_pairs
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR feedback_id = $3) ORDER BY id DESC LIMIT $4`,
};

export async function listPairs(
  db: Queryable,
  query: { readonly tenantId: string; readonly before?: string | undefined; readonly feedbackId?: string | undefined; readonly limit: number },
): Promise<readonly PreferencePair[]> {
  const { rows } = await run<{
    tenant_id: string;
    id: string;
    run_id: string;
    feedback_id: string;
    agent_name: string;
    agent_version: string;
    prompt: string;
    chosen: string | null;
    rejected: string | null;
    category: string | null;
    created_at: Date;
  }>(db, LIST_PAIRS, [query.tenantId, query.before, query.feedbackId, query.limit]);
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    id: row.id,
    runId: row.run_id,
    feedbackId: row.feedback_id,
    agentName: row.agent_name,
    agentVersion: row.agent_version,
    prompt: row.prompt,
    chosen: row.chosen,
    rejected: row.rejected,
    category: row.category,
    createdAt: row.created_at,
  }));
}
