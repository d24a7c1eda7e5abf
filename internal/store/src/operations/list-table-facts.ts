import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Sizes with indexes, partitions of the audit added up, and the dead rows that a vacuum has not taken away yet; largest first. */
const LIST_TABLE_FACTS: Statement = {
  name: 'list-table-facts',
  text: `
SELECT regexp_replace(relname, '^(audit_logs)_[0-9]{4}_[0-9]{2}$', '\\1') AS name,
  sum(pg_total_relation_size(relid))::float8 AS bytes, sum(n_live_tup)::float8 AS live_rows, sum(n_dead_tup)::float8 AS dead_rows,
  sum(sum(pg_total_relation_size(relid))) OVER ()::float8 AS all_bytes
FROM pg_stat_user_tables WHERE schemaname = current_schema() GROUP BY 1 ORDER BY 2 DESC LIMIT 50`,
};

export interface TableFacts {
  readonly name: string;
  readonly bytes: number;
  /** Estimates of the server. */
  readonly liveRows: number;
  readonly deadRows: number;
}

export async function listTableFacts(db: Queryable): Promise<{ readonly bytes: number; readonly tables: readonly TableFacts[] }> {
  const { rows } = await run<{ name: string; bytes: number; live_rows: number; dead_rows: number; all_bytes: number }>(db, LIST_TABLE_FACTS, []);
  return { bytes: rows[0]?.all_bytes ?? 0, tables: rows.map((row) => ({ name: row.name, bytes: row.bytes, liveRows: row.live_rows, deadRows: row.dead_rows })) };
}
