import type { CatchUp, FireOutcome, JsonObject, Overlap, Schedule, ScheduleError } from '@openeaap/kernel';
import { PRIORITIES } from '@openeaap/kernel';

export interface ScheduleRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly name: string;
  readonly cron: string;
  readonly time_zone: string;
  readonly agent_name: string;
  readonly agent_version: string | null;
  readonly input: string | JsonObject;
  readonly user_id: string;
  readonly priority: number;
  readonly overlap: Overlap;
  readonly catch_up: CatchUp;
  readonly paused: boolean;
  readonly next_at: Date | null;
  readonly last_at: Date | null;
  readonly last_outcome: FireOutcome | null;
  readonly last_run_id: string | null;
  readonly last_error: ScheduleError | null;
  readonly failures: number;
  readonly revision: number;
  readonly created_by: string;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export function toSchedule(row: ScheduleRow): Schedule {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    cron: row.cron,
    timeZone: row.time_zone,
    agentName: row.agent_name,
    agentVersion: row.agent_version,
    input: row.input,
    userId: row.user_id,
    priority: PRIORITIES[row.priority] ?? 'normal',
    overlap: row.overlap,
    catchUp: row.catch_up,
    paused: row.paused,
    nextAt: row.next_at,
    lastAt: row.last_at,
    lastOutcome: row.last_outcome,
    lastRunId: row.last_run_id,
    lastError: row.last_error,
    failures: row.failures,
    revision: row.revision,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
