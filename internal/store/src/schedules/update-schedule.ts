import type { Schedule } from '@openeaap/kernel';
import { PlatformError, PRIORITIES } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, sqlState, toJsonb } from '../database.ts';
import type { ScheduleRow } from './schedule-row.ts';
import { toSchedule } from './schedule-row.ts';

/**
 * What people may change; a fire that is under way keeps its record of what it did. The next time is
 * written only where it was decided anew ($13): otherwise it is the fires' own, and they may have just
 * moved it. Failures before a change say nothing about what comes after it.
 */
const UPDATE_SCHEDULE: Statement = {
  name: 'update-schedule',
  text: `
UPDATE schedules SET
  name = $4, cron = $5, time_zone = $6, agent_name = $7, agent_version = $8, input = $9::jsonb, priority = $10, overlap = $11, catch_up = $12,
  paused = $15, next_at = CASE WHEN $13::boolean THEN $14::timestamptz ELSE next_at END, claimed_until = CASE WHEN $13::boolean THEN NULL ELSE claimed_until END,
  failures = 0, revision = revision + 1, updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND revision = $3
RETURNING *`,
};

export interface ScheduleUpdate {
  /** As it is to be; `revision` as it was read. Its user stays. */
  readonly schedule: Schedule;
  /** The next time was decided anew and is `schedule.nextAt`. */
  readonly moves: boolean;
}

const UNIQUE_VIOLATION = '23505';

/** null: somebody else has changed or deleted it meanwhile. Errors: conflict (the name is taken). */
export async function updateSchedule(db: Queryable, { schedule, moves }: ScheduleUpdate): Promise<Schedule | null> {
  const values = [
    schedule.tenantId,
    schedule.id,
    schedule.revision,
    schedule.name,
    schedule.cron,
    schedule.timeZone,
    schedule.agentName,
    schedule.agentVersion,
    toJsonb(schedule.input),
    PRIORITIES.indexOf(schedule.priority),
    schedule.overlap,
    schedule.catchUp,
    moves,
    schedule.nextAt,
    schedule.paused,
  ];
  const { rows } = await run<ScheduleRow>(db, UPDATE_SCHEDULE, values).catch((thrown: unknown) => {
    throw thrown instanceof PlatformError && sqlState(thrown.cause) === UNIQUE_VIOLATION ? nameTaken(schedule.name) : thrown;
  });
  return rows[0] === undefined ? null : toSchedule(rows[0]);
}

const nameTaken = (name: string): PlatformError =>
  new PlatformError('conflict', `There is a schedule "${name}" already. Choose another name.`, { details: { field: 'name' } });
