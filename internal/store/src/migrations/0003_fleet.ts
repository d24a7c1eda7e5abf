/** Many nodes on one database: what a node is for, and which of the runs that are due goes first. */
export const fleet = {
  number: 3,
  name: 'fleet',
  sql: `
-- 0 low, 1 normal, 2 high, 3 urgent.
ALTER TABLE runs ADD COLUMN priority SMALLINT NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3);
-- Claims look at each tenant, agent and priority by itself, so that a crowd of one never hides the others.
CREATE INDEX runs_due ON runs (tenant_id, agent_id, priority, wake_at) WHERE status IN ('pending', 'paused');
ALTER TABLE nodes ADD COLUMN roles TEXT[] NOT NULL DEFAULT '{}';
`,
} as const;
