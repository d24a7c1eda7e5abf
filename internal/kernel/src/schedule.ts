import type { ErrorCode } from './error.ts';
import type { JsonObject } from './json.ts';
import type { Priority } from './priority.ts';

/** `skip`: a fire starts nothing while the run of an earlier one has not ended. */
export const OVERLAPS = ['allow', 'skip'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** What becomes of fires that came while no node was there: none of them, the newest, or all up to a limit. */
export const CATCH_UPS = ['none', 'last', 'all'] as const;
export type CatchUp = (typeof CATCH_UPS)[number];

/** What came of a fire. `missed`: it came while no node was there, and is not caught up with. */
export type FireOutcome = 'started' | 'skipped' | 'failed' | 'missed';

export interface ScheduleError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a person says: when, what, and on whose behalf. */
export interface ScheduleSpec {
  /** Unique in its tenant. */
  readonly name: string;
  /** Five or six fields (seconds first), or a word such as `@hourly`; normalised. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
  readonly agentName: string;
  /** null: the version that is current at the time of the fire. */
  readonly agentVersion: string | null;
  /** Masked, as the inputs of runs are. */
  readonly input: string | JsonObject;
  /** The runs are this user's; groups and clearance are those of the time of the fire. */
  readonly userId: string;
  readonly priority: Priority;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  readonly paused: boolean;
}

/** Starts runs of one agent at the times that a cron expression names. */
export interface Schedule extends ScheduleSpec {
  readonly tenantId: string;
  readonly id: string;
  /** The earliest fire that is not settled; null: paused, or none ever comes. */
  readonly nextAt: Date | null;
  readonly lastAt: Date | null;
  readonly lastOutcome: FireOutcome | null;
  /** The newest run that a fire has started. */
  readonly lastRunId: string | null;
  /** Why the newest fire started nothing. */
  readonly lastError: ScheduleError | null;
  /** Fires in a row that started nothing, or a run that failed. */
  readonly failures: number;
  /** One more with each change by a person. */
  readonly revision: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
