import type { Run, Schedule } from '@openeaap/kernel';

export type PreviousRun = Pick<Run, 'status' | 'error'> | null;

/**
 * Failures in a row: fires that started nothing, and runs that failed. A run is counted when its end is
 * known, which is at the next fire; after a fire that failed by itself it has been counted.
 *
 * @param previous the run of `schedule.lastRunId` as it is now.
 */
export function countFailures(schedule: Pick<Schedule, 'lastOutcome' | 'failures'>, previous: PreviousRun): number {
  const isUncounted = schedule.lastOutcome === 'started' || schedule.lastOutcome === 'skipped';
  const status = isUncounted ? previous?.status : undefined;
  if (status === 'completed') return 0;
  return schedule.failures + (status === 'failed' ? 1 : 0);
}
