import type { JsonObject, Priority, CatchUp, Overlap, RunStatus, Schedule, ScheduleError } from '@openeaap/kernel';
import type { Caller, Page, PageRequest, CreatedRun, TraceContext } from './port.ts';

/** What the room needs of the platform for schedules. */
export interface SchedulePort {
  /** Newest first. A caller for whom `actsForOthers` is false sees and changes only schedules that run as itself. */
  listSchedules(caller: Caller, filter: ScheduleFilter, page: PageRequest): Promise<Page<ScheduleDetail>>;
  /** Errors: `invalid_input` (`cron`, `time_zone`), `not_found` (agent), `conflict` (the name is taken, the agent is not published, too many). */
  createSchedule(caller: Caller, request: CreateScheduleRequest): Promise<ScheduleDetail>;
  /** `scheduleRef`: its id or its name. Errors: `not_found`. */
  getSchedule(caller: Caller, scheduleRef: string): Promise<ScheduleDetail>;
  /** Errors: those of `createSchedule`, and `conflict` when somebody else changed it meanwhile. */
  updateSchedule(caller: Caller, scheduleRef: string, change: ScheduleChange): Promise<ScheduleDetail>;
  /** Its runs stay. Errors: `not_found`. */
  deleteSchedule(caller: Caller, scheduleRef: string): Promise<Schedule>;
  /** Pausing what is paused changes nothing. Errors: `not_found`, `conflict`. */
  pauseSchedule(caller: Caller, scheduleRef: string): Promise<ScheduleDetail>;
  /** Goes on with the next fire after now. Errors: `not_found`, `conflict`. */
  resumeSchedule(caller: Caller, scheduleRef: string): Promise<ScheduleDetail>;
  /** A run now, besides the fires. Errors: `not_found`, `conflict`, `idempotency_mismatch`. */
  runSchedule(caller: Caller, scheduleRef: string, request: RunScheduleRequest): Promise<CreatedRun>;
}

/** null: any. */
export interface ScheduleFilter {
  readonly userId: string | null;
  readonly paused: boolean | null;
}

export interface CreateScheduleRequest {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  /** A name: the version that is current at each fire; or `name@version`. */
  readonly agentRef: string;
  readonly input: string | JsonObject;
  /** Run for this user; null: for the caller. */
  readonly userId: string | null;
  readonly priority: Priority;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  readonly paused: boolean;
}

/** What is left out stays. */
export type ScheduleChange = Partial<Omit<CreateScheduleRequest, 'userId' | 'paused'>>;

export interface RunScheduleRequest {
  readonly idempotencyKey: string | null;
  readonly trace: TraceContext;
}

export interface ScheduleDetail {
  readonly schedule: Schedule;
  /** RFC 3339 with the offset of its zone. In a list only the next one. */
  readonly nextFires: readonly string[];
  readonly lastRunStatus: RunStatus | null;
  /** Why the newest fire started nothing, or why its run failed. */
  readonly lastError: ScheduleError | null;
  readonly failuresInARow: number;
}
