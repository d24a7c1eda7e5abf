import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/**
 * R7: a cancellation is a durable mark and a signal. The orchestrator makes the transition; a run
 * that nobody owns is woken for it. Asking twice keeps the first asker.
 */
const REQUEST_CANCEL: Statement = {
  name: 'request-cancel',
  text: `
UPDATE runs SET
  cancel_requested_by = CASE WHEN cancel_requested_at IS NULL THEN $3 ELSE cancel_requested_by END,
  cancel_reason = CASE WHEN cancel_requested_at IS NULL THEN $4 ELSE cancel_reason END,
  cancel_requested_at = COALESCE(cancel_requested_at, now()),
  signal_no = signal_no + 1,
  wake_at = CASE WHEN status = 'running' THEN wake_at ELSE now() END
WHERE tenant_id = $1 AND id = $2 AND status IN ('pending', 'running', 'paused')`,
};

/** false: the run has ended already (or is not there). */
export async function requestCancel(
  db: Queryable,
  request: { readonly tenantId: string; readonly runId: string; readonly by: string; readonly reason: string | null },
): Promise<boolean> {
  const { rowCount } = await run(db, REQUEST_CANCEL, [request.tenantId, request.runId, request.by, request.reason]);
  return rowCount === 1;
}
