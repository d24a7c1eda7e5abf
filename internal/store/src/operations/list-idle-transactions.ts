import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Sessions that hold a transaction open and do nothing. Never what they said last: it can hold values of rows. */
const LIST_IDLE_TRANSACTIONS: Statement = {
  name: 'list-idle-transactions',
  text: `
SELECT pid, application_name, extract(epoch FROM now() - xact_start)::float8 * 1000 AS open_ms FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND state_change < now() - $1::float8 * interval '1 millisecond'
ORDER BY xact_start LIMIT 10`,
};

export interface IdleTransaction {
  readonly pid: number;
  readonly applicationName: string;
  readonly openMs: number;
}

export async function listIdleTransactions(db: Queryable, idleMs: number): Promise<readonly IdleTransaction[]> {
  const { rows } = await run<{ pid: number; application_name: string; open_ms: number }>(db, LIST_IDLE_TRANSACTIONS, [idleMs]);
  return rows.map((row) => ({ pid: row.pid, applicationName: row.application_name, openMs: row.open_ms }));
}
