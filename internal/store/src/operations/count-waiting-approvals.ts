import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Pending approvals; the partial index keeps those that were decided out of the way. $1: ms after the end at which a run should have noticed. */
const COUNT_WAITING_APPROVALS: Statement = {
  name: 'count-waiting-approvals',
  text: `
SELECT count(*)::int AS pending,
  count(*) FILTER (WHERE now() > created_at + (expires_at - created_at) / 2 AND expires_at > now())::int AS past_half,
  count(*) FILTER (WHERE expires_at < now() - $1::float8 * interval '1 millisecond')::int AS overdue,
  (SELECT a.id::text FROM approvals a WHERE a.status = 'pending' ORDER BY a.expires_at LIMIT 1) AS next,
  extract(epoch FROM min(expires_at) - now())::float8 * 1000 AS next_expires_in_ms
FROM approvals WHERE status = 'pending'`,
};

export interface WaitingApprovals {
  readonly pending: number;
  /** More than half of their time is over. */
  readonly pastHalf: number;
  /** Their time is over and nobody has closed them. */
  readonly overdue: number;
  /** The one whose time is over first. */
  readonly next: string | null;
  readonly nextExpiresInMs: number | null;
}

export async function countWaitingApprovals(db: Queryable, overdueMs: number): Promise<WaitingApprovals> {
  const { rows } = await run<{ pending: number; past_half: number; overdue: number; next: string | null; next_expires_in_ms: number | null }>(db, COUNT_WAITING_APPROVALS, [overdueMs]);
  const row = rows[0];
  return { pending: row?.pending ?? 0, pastHalf: row?.past_half ?? 0, overdue: row?.overdue ?? 0, next: row?.next ?? null, nextExpiresInMs: row?.next_expires_in_ms ?? null };
}
