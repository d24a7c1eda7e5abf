import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const NOTE_CLOCK: Statement = { name: 'note-clock', text: 'UPDATE nodes SET clock_ahead_ms = $2, clock_measured_at = now() WHERE id = $1 AND stopped_at IS NULL' };

/** Writes down how far a node's clock is ahead of the database's, so that the clocks of all nodes can be compared. */
export async function noteClock(db: Queryable, nodeId: string, aheadMs: number): Promise<void> {
  await run(db, NOTE_CLOCK, [nodeId, Math.round(aheadMs)]);
}
