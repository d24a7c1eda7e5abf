import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** A signed statement that a chain had reached a row: what shows that a tail was cut. */
export interface AuditHead {
  readonly chainId: string;
  readonly seq: number;
  readonly hash: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly signedAt: string;
  /** SPKI PEM of the Ed25519 key. */
  readonly publicKey: string;
  /** Base64. */
  readonly signature: string;
}

const SAVE_HEAD: Statement = {
  name: 'save-audit-head',
  text: `INSERT INTO audit_heads (chain_id, chain_seq, row_hash, signed_at, public_key, signature) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
};

export async function saveAuditHead(db: Queryable, head: AuditHead): Promise<void> {
  await run(db, SAVE_HEAD, [head.chainId, head.seq, head.hash, head.signedAt, head.publicKey, head.signature]);
}

const LIST_HEADS: Statement = {
  name: 'list-audit-heads',
  text: `
SELECT chain_id, chain_seq, row_hash, to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS signed_at, public_key, signature
FROM audit_heads ORDER BY chain_id, chain_seq`,
};

export async function listAuditHeads(db: Queryable): Promise<readonly AuditHead[]> {
  const { rows } = await run<{ chain_id: string; chain_seq: string; row_hash: string; signed_at: string; public_key: string; signature: string }>(db, LIST_HEADS, []);
  return rows.map((row) => ({
    chainId: row.chain_id,
    seq: Number(row.chain_seq),
    hash: row.row_hash,
    signedAt: row.signed_at,
    publicKey: row.public_key,
    signature: row.signature,
  }));
}
