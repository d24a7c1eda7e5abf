import type { AuditFact, Clock, FireOutcome, Ids, Principal, Run, Schedule, ScheduleError } from '@openeaap/kernel';
import type { AcceptedRun, RunRequest } from '../accept-run.ts';
import type { Log, Observation } from '../port.ts';

/** What starting runs by the clock needs of the store. */
export interface ScheduleStore {
  /**
   * Takes due schedules for `leaseMs`, so that of many nodes one is at work on each; a node that dies
   * at it leaves them to the others when the time is up. `now` is the store's own clock: nodes need
   * not agree about the time.
   */
  readonly claimDue: (claim: { readonly limit: number; readonly leaseMs: number }) => Promise<{
    readonly now: Date;
    readonly due: readonly DueSchedule[];
    /** When there may be something to do again; null: nothing is planned. */
    readonly lookAgainAt: Date | null;
  }>;
  readonly findUser: (tenantId: string, userId: string) => Promise<Principal>;
  readonly getRun: (tenantId: string, runId: string) => Promise<Pick<Run, 'status' | 'error'> | null>;
  /**
   * Compare-and-set on `expectedNextAt`, with the audit rows. A new run is written down also when the
   * schedule has been moved meanwhile. false: nothing was written, for others have said it all.
   */
  readonly settle: (settlement: Settlement) => Promise<boolean>;
}

export type DueSchedule = Schedule & { readonly nextAt: Date };

/** What came of a fire, and when the next one is. */
export interface Settlement {
  readonly tenantId: string;
  readonly scheduleId: string;
  readonly expectedNextAt: Date;
  readonly nextAt: Date | null;
  /** null: no fire was made. */
  readonly fireAt: Date | null;
  /** null: nothing had come due after all. */
  readonly outcome: FireOutcome | null;
  /** The run that was started. */
  readonly runId: string | null;
  /** The run was made by this very attempt, so nobody else knows of it: its audit rows are written whatever became of the schedule. */
  readonly isNewRun: boolean;
  readonly error: ScheduleError | null;
  readonly failures: number;
  readonly audit: readonly AuditFact[];
}

export interface SchedulerDeps {
  readonly store: ScheduleStore;
  /** R1: the same key is the same run. */
  readonly acceptRun: (request: RunRequest) => Promise<AcceptedRun>;
  /** There is a new run to claim. */
  readonly wakeNode: () => void;
  readonly observe: (observation: Observation) => void;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly ids: Pick<Ids, 'newTraceId'>;
  readonly log: Log;
}
