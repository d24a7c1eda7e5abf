import pg from 'pg';
import { ENDED } from '../e2e/harness/api-client.ts';

/** What the tables say when all is quiet; read past the platform. */
export interface Findings {
  readonly runs: readonly RunFinding[];
  /** Runs whose events are not numbered 1, 2, 3 up to `last_seq`, or that do not end exactly once. */
  readonly brokenSequences: readonly string[];
  readonly notEnded: readonly string[];
  /** Approvals that wait for a person although their run has ended, so that nobody can decide them. */
  readonly deadApprovals: readonly string[];
}

export interface RunFinding {
  readonly id: string;
  readonly key: string;
  readonly status: string;
  readonly errorCode: string | null;
}

interface Row {
  readonly id: string;
  readonly idempotency_key: string;
  readonly status: string;
  readonly error_code: string | null;
  readonly last_seq: string;
  readonly events: string;
  readonly lowest: string | null;
  readonly highest: string | null;
  readonly ends: string;
}

const READ_RUNS = `
SELECT r.id, r.idempotency_key, r.status, r.error ->> 'code' AS error_code, r.last_seq,
  count(e.seq) AS events, min(e.seq) AS lowest, max(e.seq) AS highest,
  count(*) FILTER (WHERE e.type IN ('run_completed', 'run_failed', 'run_cancelled')) AS ends
FROM runs r LEFT JOIN run_events e ON e.tenant_id = r.tenant_id AND e.run_id = r.id
WHERE starts_with(r.idempotency_key, $1)
GROUP BY r.tenant_id, r.id`;

const READ_DEAD_APPROVALS = `
SELECT a.id FROM approvals a JOIN runs r ON r.tenant_id = a.tenant_id AND r.id = a.run_id
WHERE starts_with(r.idempotency_key, $1) AND a.status = 'pending' AND r.status IN ('completed', 'failed', 'cancelled')`;

/** Of the runs whose idempotency keys begin with `prefix`. */
export async function checkDatabase(url: string, prefix: string): Promise<Findings> {
  const rows = await query<Row>(url, READ_RUNS, [prefix]);
  return {
    runs: rows.map((row) => ({ id: row.id, key: row.idempotency_key, status: row.status, errorCode: row.error_code })),
    brokenSequences: rows.filter((row) => !isWhole(row)).map((row) => row.id),
    notEnded: rows.filter((row) => !ENDED.has(row.status)).map((row) => row.id),
    deadApprovals: (await query<{ readonly id: string }>(url, READ_DEAD_APPROVALS, [prefix])).map(({ id }) => id),
  };
}

function isWhole(row: Row): boolean {
  // (run, seq) is the key of the table: as many events as the highest number means that none is missing or doubled.
  const isGapless = Number(row.lowest) === 1 && row.highest === row.last_seq && row.events === row.last_seq;
  return isGapless && Number(row.ends) === (ENDED.has(row.status) ? 1 : 0);
}

export async function query<R>(url: string, text: string, values: readonly unknown[] = []): Promise<readonly R[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(text, [...values]);
    return rows as readonly R[];
  } finally {
    await client.end();
  }
}
