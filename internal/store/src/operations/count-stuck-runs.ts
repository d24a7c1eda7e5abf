import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/**
 * Runs that do not move. Each part goes through an index and looks at 1,000 runs at the most. When a
 * run was last committed is when its newest event was written: each transition writes one.
 *
 * $1 ms that a run may be due, $2 ms without an event while running, $3 most runs to count.
 */
const COUNT_STUCK_RUNS: Statement = {
  name: 'count-stuck-runs',
  text: `
WITH late AS (
  SELECT id, wake_at AS since FROM runs WHERE status IN ('pending', 'paused') AND wake_at < now() - $1::float8 * interval '1 millisecond' ORDER BY wake_at LIMIT $3
), silent AS (
  SELECT r.id, e.created_at AS since FROM runs r JOIN run_events e ON e.tenant_id = r.tenant_id AND e.run_id = r.id AND e.seq = r.last_seq
  WHERE r.status = 'running' AND e.created_at < now() - $2::float8 * interval '1 millisecond' ORDER BY e.created_at LIMIT $3
), lost AS (
  SELECT r.id, r.created_at AS since FROM runs r WHERE r.status IN ('pending', 'paused') AND r.wake_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.tenant_id = r.tenant_id AND a.run_id = r.id AND a.status = 'pending') LIMIT $3
), stuck AS (
  SELECT 'late' AS kind, * FROM late UNION ALL SELECT 'silent', * FROM silent UNION ALL SELECT 'lost', * FROM lost
)
SELECT kind, count(*)::int AS runs, extract(epoch FROM now() - min(since))::float8 * 1000 AS longest_ms, (array_agg(id::text ORDER BY since))[1:3] AS examples
FROM stuck GROUP BY kind`,
};

export interface StuckRuns {
  /** As counted, up to the limit. */
  readonly runs: number;
  readonly longestMs: number;
  /** Ids of up to three, the longest first. */
  readonly examples: readonly string[];
}

export interface StuckRunCounts {
  /** Due, and no node takes them. */
  readonly late: StuckRuns;
  /** Running, and nothing was written for long. */
  readonly silent: StuckRuns;
  /** Waiting for nothing: no time, no approval. */
  readonly lost: StuckRuns;
}

const NONE: StuckRuns = { runs: 0, longestMs: 0, examples: [] };

export async function countStuckRuns(db: Queryable, limits: { readonly lateMs: number; readonly silentMs: number; readonly count: number }): Promise<StuckRunCounts> {
  const { rows } = await run<{ kind: 'late' | 'silent' | 'lost'; runs: number; longest_ms: number; examples: string[] }>(db, COUNT_STUCK_RUNS, [limits.lateMs, limits.silentMs, limits.count]);
  const of = (kind: keyof StuckRunCounts): StuckRuns => {
    const row = rows.find((each) => each.kind === kind);
    return row === undefined ? NONE : { runs: row.runs, longestMs: row.longest_ms, examples: row.examples };
  };
  return { late: of('late'), silent: of('silent'), lost: of('lost') };
}
