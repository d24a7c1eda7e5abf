import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ChainHead } from './audit-row.ts';

/**
 * The newest rows of chains whose writer died before it could sign them: a node that never signed
 * off and whose heart does not beat. A writer that signed off had signed its last row before.
 */
const LIST_UNSEALED_TAILS: Statement = {
  name: 'list-unsealed-audit-tails',
  text: `
SELECT n.id AS chain_id, t.chain_seq, t.row_hash FROM nodes n
CROSS JOIN LATERAL (SELECT chain_seq, row_hash FROM audit_logs WHERE chain_id = n.id ORDER BY chain_seq DESC LIMIT 1) t
WHERE n.stopped_at IS NULL AND n.heartbeat_at <= now() - $1::int * interval '1 millisecond'
  AND NOT EXISTS (SELECT 1 FROM audit_heads h WHERE h.chain_id = n.id AND h.chain_seq >= t.chain_seq)`,
};

/** `deadAfterMs` is 0 where the caller knows that no other node lives. */
export async function listUnsealedTails(db: Queryable, deadAfterMs: number): Promise<readonly ChainHead[]> {
  const { rows } = await run<{ chain_id: string; chain_seq: string; row_hash: string }>(db, LIST_UNSEALED_TAILS, [deadAfterMs]);
  return rows.map((row) => ({ chainId: row.chain_id, seq: Number(row.chain_seq), hash: row.row_hash }));
}
