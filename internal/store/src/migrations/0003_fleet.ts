/** Many nodes on one database: what a node is for, and which of the runs that are due goes first. */
export const fleet = {
  number: 3,
  name: 'fleet',
  sql: `
-- 0 low, 1 normal, 2 high, 3 urgent.
ALTER TABLE runs ADD COLUMN priority SMALLINT NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3);
-- Claims look at each tenant, agent and priority by itself, so that a crowd of one never hides the others.
CREATE INDEX runs_due ON runs (tenant_id, agent_id, priority, status, wake_at) WHERE status IN ('pending', 'paused');
DROP INDEX runs_waiting;
-- A run's row is written by each of its commits, a call's row when it ends: room on the page keeps the new version of the row
-- beside the old one, and no index has to be touched.
ALTER TABLE runs SET (fillfactor = 50);
ALTER TABLE run_steps SET (fillfactor = 80);
ALTER TABLE nodes ADD COLUMN roles TEXT[] NOT NULL DEFAULT '{}';
`,
} as const;
