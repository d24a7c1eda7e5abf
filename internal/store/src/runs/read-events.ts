import type { RunEvent, RunStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { EventRow } from '../rows.ts';
import { toEvent } from '../rows.ts';

/** R8: events after a number, in order, with the status that the run had in the same snapshot. */
const READ_EVENTS: Statement = {
  name: 'read-events',
  text: `
SELECT r.status, e.run_id, e.seq, e.type, e.data, e.created_at
FROM runs r LEFT JOIN LATERAL (
  SELECT * FROM run_events e WHERE e.tenant_id = r.tenant_id AND e.run_id = r.id AND e.seq > $3 ORDER BY e.seq LIMIT $4
) e ON TRUE
WHERE r.tenant_id = $1 AND r.id = $2 ORDER BY e.seq`,
};

export interface EventPage {
  readonly status: RunStatus;
  readonly events: readonly RunEvent[];
}

/** null: no such run. */
export async function readEvents(
  db: Queryable,
  from: { readonly tenantId: string; readonly runId: string; readonly afterSeq: number; readonly limit: number },
): Promise<EventPage | null> {
  const { rows } = await run<{ status: RunStatus } & (EventRow | { seq: null })>(db, READ_EVENTS, [from.tenantId, from.runId, from.afterSeq, from.limit]);
  const first = rows[0];
  if (first === undefined) return null;
  return { status: first.status, events: rows.flatMap((row) => (row.seq === null ? [] : [toEvent(row as EventRow)])) };
}
