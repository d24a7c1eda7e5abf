/** Which runs ended before a day: what the archive takes, oldest first, without reading the others. */
export const endedRuns = {
  number: 6,
  name: 'ended_runs',
  oldestProgram: 3,
  kind: 'index',
  index: 'runs_ended',
  sql: `CREATE INDEX CONCURRENTLY runs_ended ON runs (tenant_id, finished_at, id) WHERE status IN ('completed', 'failed', 'cancelled')`,
} as const;
