import type { ClaimedRun } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ClaimedRow } from './take-over.ts';
import { TAKE_OVER, toClaimedRun } from './take-over.ts';

/**
 * R2: takes over running runs that nobody drives: those of dead nodes, and those of the asking node that it does not
 * have in hand, because it let go of them or never got the answer to an earlier claim. They were within their
 * tenant's limit when they were claimed first and still count in it, so no limit is asked here.
 *
 * $1 node id, $2 most runs to take, $3 ms without heartbeat after which a node is dead, $4 runs in hand.
 */
const CLAIM_ORPHANS: Statement = {
  name: 'claim-orphans',
  text: `
WITH taken AS (
  SELECT r.tenant_id, r.id, r.status, r.node_id::text AS lost_node FROM runs r
  WHERE r.status = 'running' AND CASE WHEN r.node_id = $1::uuid THEN r.id <> ALL ($4::uuid[]) ELSE NOT EXISTS (
    SELECT 1 FROM nodes n WHERE n.id = r.node_id AND n.stopped_at IS NULL AND n.heartbeat_at > now() - $3::int * interval '1 millisecond') END
  LIMIT $2 FOR UPDATE OF r SKIP LOCKED
), ${TAKE_OVER}`,
};

export async function claimOrphans(
  db: Queryable,
  claim: { readonly nodeId: string; readonly limit: number; readonly deadAfterMs: number; readonly inHand: readonly string[] },
): Promise<readonly ClaimedRun[]> {
  const { rows } = await run<ClaimedRow>(db, CLAIM_ORPHANS, [claim.nodeId, claim.limit, claim.deadAfterMs, claim.inHand]);
  return rows.map((row) => toClaimedRun(row, claim.nodeId));
}
