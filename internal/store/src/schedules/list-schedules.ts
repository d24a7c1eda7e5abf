import type { Schedule } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { ScheduleRow } from './schedule-row.ts';
import { toSchedule } from './schedule-row.ts';

/** Newest first; ids are UUIDv7, so the id is the order and the cursor. */
const LIST_SCHEDULES: Statement = {
  name: 'list-schedules',
  text: `
SELECT * FROM schedules
WHERE tenant_id = $1 AND ($2::text IS NULL OR user_id = $2) AND ($3::boolean IS NULL OR paused = $3) AND ($4::uuid IS NULL OR id < $4)
ORDER BY id DESC LIMIT $5`,
};

export interface ScheduleFilter {
  readonly tenantId: string;
  readonly userId?: string | undefined;
  readonly paused?: boolean | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

export async function listSchedules(db: Queryable, filter: ScheduleFilter): Promise<readonly Schedule[]> {
  const { rows } = await run<ScheduleRow>(db, LIST_SCHEDULES, [filter.tenantId, filter.userId, filter.paused, filter.before, filter.limit]);
  return rows.map(toSchedule);
}
