import type { Schedule } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ScheduleRow } from './schedule-row.ts';
import { toSchedule } from './schedule-row.ts';

const FIND_SCHEDULE: Statement = {
  name: 'find-schedule',
  text: 'SELECT * FROM schedules WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ($3::text IS NULL OR name = $3)',
};

/** By id or by name. */
export async function findSchedule(db: Queryable, tenantId: string, reference: { readonly id: string } | { readonly name: string }): Promise<Schedule | null> {
  const values = 'id' in reference ? [tenantId, reference.id, null] : [tenantId, null, reference.name];
  const { rows } = await run<ScheduleRow>(db, FIND_SCHEDULE, values);
  return rows[0] === undefined ? null : toSchedule(rows[0]);
}
