import type { Pool } from 'pg';
import type { ScheduleStore } from '@openeaap/orchestrator';
import type { CommitLane } from '@openeaap/store';
import { claimDueSchedules, findUser, getRun, settleSchedule } from '@openeaap/store';

/** The store as the scheduler knows it. */
export function createScheduleStore(pool: Pool, lane: Pick<CommitLane, 'withAudit'>): ScheduleStore {
  return {
    claimDue: (claim) => claimDueSchedules(pool, claim),
    findUser: (tenantId, userId) => findUser(pool, tenantId, userId),
    getRun: async (tenantId, runId) => (await getRun(pool, tenantId, runId))?.run ?? null,
    settle: async (settlement) => (await lane.withAudit(settlement.audit, (db, rows) => settleSchedule(db, settlement, rows))) !== null,
  };
}
