import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** One writer of a tenant's knowledge at a time, so that the statistics are changed in one order. Ends with the transaction. */
const LOCK_KNOWLEDGE = {
  name: 'knowledge-lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('openeaap.knowledge:' || $1, 0))`,
} as const;

export async function lockKnowledge(db: Queryable, tenantId: string): Promise<void> {
  await run(db, LOCK_KNOWLEDGE, [tenantId]);
}
