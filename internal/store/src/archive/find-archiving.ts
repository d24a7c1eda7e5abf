import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** The audit remembers runs that are no longer here; through its index of runs. */
const FIND_ARCHIVING: Statement = {
  name: 'find-archiving',
  text: `SELECT created_at, outcome FROM audit_logs WHERE tenant_id = $1 AND run_id = $2 AND action_type = 'run_archive' ORDER BY created_at DESC LIMIT 1`,
};

export interface Archiving {
  readonly at: Date;
  /** `archived`: into a file, as its client said; `deleted`: into none. */
  readonly outcome: string;
}

/** When a run was taken out of the database; null: never. */
export async function findArchiving(db: Queryable, tenantId: string, runId: string): Promise<Archiving | null> {
  const { rows } = await run<{ created_at: Date; outcome: string }>(db, FIND_ARCHIVING, [tenantId, runId]);
  const row = rows[0];
  return row === undefined ? null : { at: row.created_at, outcome: row.outcome };
}
