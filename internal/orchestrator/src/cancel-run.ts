import { PlatformError, isTerminal } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';

/**
 * R7: asks for the end of a run. When this returns the request is stored; the run's owner, or
 * whoever claims it next, makes the transition.
 *
 * Errors: not_found, conflict (the run has ended in another way).
 */
export async function cancelRun(
  request: { readonly tenantId: string; readonly runId: string; readonly by: string; readonly reason: string | null },
  deps: Pick<DriveDeps, 'store'>,
): Promise<void> {
  if (await deps.store.requestCancel(request)) return;
  const run = await deps.store.getRun(request.tenantId, request.runId);
  if (run === null) throw new PlatformError('not_found', 'There is no such run.');
  if (isTerminal(run.status) && run.status !== 'cancelled') {
    throw new PlatformError('conflict', `The run has already ${run.status}.`, { details: { status: run.status } });
  }
}
