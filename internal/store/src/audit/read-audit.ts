import type { JsonObject } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** A row of the audit as it is stored; `created_at` as text because Date has no microseconds. */
export interface StoredAuditRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly run_id: string | null;
  readonly trace_id: string;
  readonly actor: string;
  readonly action_type: string;
  readonly phase: string;
  readonly decision: string | null;
  readonly outcome: string | null;
  readonly rule: string | null;
  readonly step_no: number | null;
  readonly metadata: JsonObject;
  readonly sanitized_input: string | null;
  readonly sanitized_output: string | null;
  readonly created_at: string;
  readonly chain_id: string;
  readonly chain_seq: number;
  readonly prev_hash: string;
  readonly row_hash: string;
}

const COLUMNS = `id, tenant_id, run_id, trace_id, actor, action_type, phase, decision, outcome, rule, step_no, metadata, sanitized_input, sanitized_output,
  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at, chain_id, chain_seq, prev_hash, row_hash`;

/** Newest first. */
const LIST_AUDIT: Statement = {
  name: 'list-audit',
  text: `
SELECT ${COLUMNS} FROM audit_logs l
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR run_id = $2) AND ($3::text IS NULL OR action_type = $3)
  AND ($4::timestamptz IS NULL OR (l.created_at, l.chain_id, l.chain_seq) < ($4, $5::uuid, $6::bigint))
ORDER BY l.created_at DESC, l.chain_id DESC, l.chain_seq DESC LIMIT $7`,
};

export interface AuditCursor {
  readonly createdAt: string;
  readonly chainId: string;
  readonly chainSeq: number;
}

export interface AuditFilter {
  readonly tenantId: string;
  readonly runId?: string | undefined;
  readonly actionType?: string | undefined;
  readonly before?: AuditCursor | undefined;
  readonly limit: number;
}

export async function listAudit(db: Queryable, filter: AuditFilter): Promise<readonly StoredAuditRow[]> {
  const { tenantId, runId, actionType, before, limit } = filter;
  const { rows } = await run<Raw>(db, LIST_AUDIT, [tenantId, runId, actionType, before?.createdAt, before?.chainId, before?.chainSeq, limit]);
  return rows.map(fromRaw);
}

/** In the order of the chains: what verify and export walk, page by page so that memory stays flat. */
const WALK_AUDIT: Statement = {
  name: 'walk-audit',
  text: `
SELECT ${COLUMNS} FROM audit_logs l
WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::uuid IS NULL OR (l.chain_id, l.chain_seq, l.id, l.created_at) > ($2, $3::bigint, $4::uuid, $5::timestamptz))
  AND ($6::timestamptz IS NULL OR l.created_at >= $6) AND ($7::timestamptz IS NULL OR l.created_at < $7)
ORDER BY l.chain_id, l.chain_seq, l.id, l.created_at LIMIT $8`,
};

export interface AuditWalk {
  readonly tenantId?: string | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

const WALK_PAGE_ROWS = 1_000;

/** Every row once, also forged ones that share a number. `pageRows` is for tests. */
export async function* walkAudit(db: Queryable, walk: AuditWalk, pageRows = WALK_PAGE_ROWS): AsyncGenerator<StoredAuditRow> {
  let after: StoredAuditRow | undefined;
  for (;;) {
    const { rows } = await run<Raw>(db, WALK_AUDIT, [walk.tenantId, after?.chain_id, after?.chain_seq, after?.id, after?.created_at, walk.from, walk.to, pageRows]);
    for (const raw of rows) yield fromRaw(raw);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    after = fromRaw(last);
  }
}

type Raw = Omit<StoredAuditRow, 'chain_seq'> & { chain_seq: string };
const fromRaw = (raw: Raw): StoredAuditRow => ({ ...raw, chain_seq: Number(raw.chain_seq) });
