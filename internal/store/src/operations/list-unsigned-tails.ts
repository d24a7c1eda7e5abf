import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Audit chains whose newest row is older than $1 ms and not covered by a signed head: of nodes that lived within the last day. */
const LIST_UNSIGNED_TAILS: Statement = {
  name: 'list-unsigned-audit-tails',
  text: `
SELECT n.id AS chain_id, t.chain_seq - COALESCE((SELECT max(h.chain_seq) FROM audit_heads h WHERE h.chain_id = n.id), 0) AS rows
FROM nodes n
CROSS JOIN LATERAL (SELECT chain_seq, created_at FROM audit_logs WHERE chain_id = n.id ORDER BY chain_seq DESC LIMIT 1) t
WHERE (n.stopped_at IS NULL OR n.stopped_at > now() - interval '1 day') AND n.heartbeat_at > now() - interval '30 days'
  AND t.created_at < now() - $1::float8 * interval '1 millisecond'
  AND NOT EXISTS (SELECT 1 FROM audit_heads h WHERE h.chain_id = n.id AND h.chain_seq >= t.chain_seq)
LIMIT 100`,
};

export interface UnsignedTail {
  readonly chainId: string;
  readonly rows: number;
}

export async function listUnsignedTails(db: Queryable, olderThanMs: number): Promise<readonly UnsignedTail[]> {
  const { rows } = await run<{ chain_id: string; rows: string }>(db, LIST_UNSIGNED_TAILS, [olderThanMs]);
  return rows.map((row) => ({ chainId: row.chain_id, rows: Number(row.rows) }));
}
