import type { Schedule, ScheduleSpec } from '@openeaap/kernel';
import { LIMITS, PRIORITIES } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { ScheduleRow } from './schedule-row.ts';
import { toSchedule } from './schedule-row.ts';

/** The limit is looked at without a lock: requests at the same moment may pass it by a few. */
const CREATE_SCHEDULE: Statement = {
  name: 'create-schedule',
  text: `
INSERT INTO schedules (tenant_id, id, name, cron, time_zone, agent_name, agent_version, input, user_id, priority, overlap, catch_up, paused, next_at, created_by)
SELECT $1::varchar, $2::uuid, $3, $4, $5, $6, $7, $8::jsonb, $9, $10::smallint, $11, $12, $13::boolean, $14::timestamptz, $15
WHERE (SELECT count(*) FROM schedules WHERE tenant_id = $1::varchar) < $16::int
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING *`,
};

export interface NewSchedule extends ScheduleSpec {
  readonly tenantId: string;
  readonly id: string;
  readonly nextAt: Date | null;
  readonly createdBy: string;
}

/** null: the name is taken, or the tenant has as many schedules as it may. */
export async function createSchedule(db: Queryable, schedule: NewSchedule): Promise<Schedule | null> {
  const { rows } = await run<ScheduleRow>(db, CREATE_SCHEDULE, [
    schedule.tenantId,
    schedule.id,
    schedule.name,
    schedule.cron,
    schedule.timeZone,
    schedule.agentName,
    schedule.agentVersion,
    toJsonb(schedule.input),
    schedule.userId,
    PRIORITIES.indexOf(schedule.priority),
    schedule.overlap,
    schedule.catchUp,
    schedule.paused,
    schedule.nextAt,
    schedule.createdBy,
    LIMITS.schedulesPerTenant,
  ]);
  return rows[0] === undefined ? null : toSchedule(rows[0]);
}
