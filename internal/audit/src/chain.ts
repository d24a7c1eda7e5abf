import { createHash } from 'node:crypto';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { hashJson } from '@openeaap/kernel';
import type { MaskedAuditRow } from './to-audit-row.ts';

/** The newest row of a chain. */
export interface Head {
  readonly chainId: string;
  readonly seq: number;
  readonly hash: string;
}

export interface ChainedAuditRow extends MaskedAuditRow {
  readonly chain_id: string;
  readonly chain_seq: number;
  readonly prev_hash: string;
  readonly row_hash: string;
}

/** What the first row of a chain links to: nobody can move it to another chain. */
export const genesisHash = (chainId: string): string => createHash('sha256').update(`openeaap.audit.v1:${chainId}`).digest('hex');

/** Links rows to a chain, in order. */
export function chainRows(head: Head, rows: readonly MaskedAuditRow[]): readonly ChainedAuditRow[] {
  const chained: ChainedAuditRow[] = [];
  let { seq, hash } = head;
  for (const row of rows) {
    seq += 1;
    const linked = { ...row, chain_id: head.chainId, chain_seq: seq, prev_hash: hash };
    hash = hashText(toCanonicalText(linked));
    chained.push({ ...linked, row_hash: hash });
  }
  return chained;
}

/**
 * What `hashRow` hashes, put together by hand: the columns are known, and the masker gives metadata as
 * canonical JSON already. A general serialiser took a tenth of a node's time.
 */
export function toCanonicalText(row: Omit<ChainedAuditRow, 'row_hash'>): string {
  const q = JSON.stringify;
  return `{"action_type":${q(row.action_type)},"actor":${q(row.actor)},"chain_id":${q(row.chain_id)},"chain_seq":${row.chain_seq},"created_at":${q(row.created_at)},"decision":${q(row.decision)},"id":${q(row.id)},"metadata":${row.metadata},"outcome":${q(row.outcome)},"phase":${q(row.phase)},"prev_hash":${q(row.prev_hash)},"rule":${q(row.rule)},"run_id":${q(row.run_id)},"sanitized_input":${q(row.sanitized_input)},"sanitized_output":${q(row.sanitized_output)},"step_no":${row.step_no === null ? 'null' : row.step_no},"tenant_id":${q(row.tenant_id)},"trace_id":${q(row.trace_id)}}`;
}

const hashText = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A row as it is stored, but for its own hash. */
export interface HashedColumns {
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
}

/** SHA-256 over the RFC 8785 form of every column, so no two rows share a text and no column can be changed alone. */
export function hashRow(row: HashedColumns): string {
  const columns: Record<string, JsonValue> = {
    id: row.id,
    tenant_id: row.tenant_id,
    run_id: row.run_id,
    trace_id: row.trace_id,
    actor: row.actor,
    action_type: row.action_type,
    phase: row.phase,
    decision: row.decision,
    outcome: row.outcome,
    rule: row.rule,
    step_no: row.step_no,
    metadata: row.metadata,
    sanitized_input: row.sanitized_input,
    sanitized_output: row.sanitized_output,
    created_at: row.created_at,
    chain_id: row.chain_id,
    chain_seq: row.chain_seq,
    prev_hash: row.prev_hash,
  };
  return hashJson(columns);
}
