import { PlatformError, toPlatformError } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import type { RunStore } from './port.ts';

/** Waits between tries while the store is away. */
const STORE_RETRY_MS = { first: 100, longest: 2_000 } as const;

type Waiting = Pick<DriveDeps, 'clock'>;

/**
 * What driving one run does with the store, tried until the store is back or the run is not ours
 * any more. Repeating is safe: reads change nothing, a commit carries its number, and a quota that
 * was taken by an answer that got lost is at worst taken twice.
 */
export function toPatientStore(store: RunStore, deps: Waiting, stop: AbortSignal): RunStore {
  const patient = <T>(work: () => Promise<T>): Promise<T> => patiently(work, deps, stop);
  return {
    ...store,
    readSteps: (tenantId, runId) => patient(() => store.readSteps(tenantId, runId)),
    readOutline: (tenantId, runId) => patient(() => store.readOutline(tenantId, runId)),
    readSignals: (tenantId, runId) => patient(() => store.readSignals(tenantId, runId)),
    escalateApproval: (mark, record) => patient(() => store.escalateApproval(mark, record)),
    reserveQuota: (tenantId, wanted) => patient(() => store.reserveQuota(tenantId, wanted)),
    commitRun: (commit) => patient(() => store.commitRun(commit)),
  };
}

/** Errors: those of `work` other than `unavailable`; fenced when `stop` came first. */
export async function patiently<T>(work: () => Promise<T>, deps: Waiting, stop: AbortSignal): Promise<T> {
  for (let waitMs: number = STORE_RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, STORE_RETRY_MS.longest)) {
    try {
      return await work();
    } catch (thrown) {
      if (toPlatformError(thrown).code !== 'unavailable' || stop.aborted) throw thrown;
      await deps.clock.sleep(waitMs, stop);
      if (stop.aborted) throw new PlatformError('fenced', 'This node has let go of the run.');
    }
  }
}
