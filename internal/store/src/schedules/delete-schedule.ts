import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** The runs that it has started stay, and go on. */
const DELETE_SCHEDULE: Statement = { name: 'delete-schedule', text: 'DELETE FROM schedules WHERE tenant_id = $1 AND id = $2' };

/** false: it was not there any more. */
export async function deleteSchedule(db: Queryable, tenantId: string, scheduleId: string): Promise<boolean> {
  const { rowCount } = await run(db, DELETE_SCHEDULE, [tenantId, scheduleId]);
  return rowCount === 1;
}
