import type { Sanitized } from '@openeaap/security';

/** One row of `audit_logs` but for its link in the chain. Text that could hold PII is `Sanitized`: only the masker makes it (R10). */
export interface UnchainedAuditRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly run_id: string | null;
  readonly trace_id: string;
  readonly actor: Sanitized;
  readonly action_type: string;
  readonly phase: string;
  readonly decision: string | null;
  readonly outcome: string | null;
  readonly rule: string | null;
  readonly step_no: number | null;
  /** JSON text of the metadata. */
  readonly metadata: Sanitized;
  readonly sanitized_input: Sanitized | null;
  readonly sanitized_output: Sanitized | null;
  /** RFC 3339 with microseconds, UTC: exactly what PostgreSQL keeps, because it is hashed. */
  readonly created_at: string;
}

/** A row with its place in the writer's chain, ready to be written. */
export interface AuditRow {
  readonly chain_id: string;
  readonly chain_seq: number;
  readonly row_hash: string;
  /** All columns as one JSON object: made of the sanitized text of the row, by whoever chained it. */
  readonly json: Sanitized;
}

/** The same with its columns by themselves, as the commits of runs are sent. */
export interface ChainedAuditRow extends UnchainedAuditRow, AuditRow {
  readonly prev_hash: string;
}

/** The newest row of a chain: what the next one links to. */
export interface ChainHead {
  readonly chainId: string;
  readonly seq: number;
  readonly hash: string;
}

const COLUMNS =
  'id, tenant_id, run_id, trace_id, actor, action_type, phase, decision, outcome, rule, step_no, metadata, sanitized_input, sanitized_output, created_at, chain_id, chain_seq, prev_hash, row_hash';

const RECORD =
  'id uuid, tenant_id text, run_id uuid, trace_id text, actor text, action_type text, phase text, decision text, outcome text, rule text, step_no int, metadata jsonb, sanitized_input text, sanitized_output text, created_at timestamptz, chain_id uuid, chain_seq bigint, prev_hash text, row_hash text';

/** Writes the rows of a JSON parameter such as `$3`, made by `toAuditJson`. */
export const insertAudit = (parameter: string): string => `INSERT INTO audit_logs (${COLUMNS}) SELECT ${COLUMNS} FROM jsonb_to_recordset(${parameter}::jsonb) AS l(${RECORD})`;

export const toAuditJson = (rows: readonly AuditRow[]): string => `[${rows.map((row) => row.json).join(',')}]`;
