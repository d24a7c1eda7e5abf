/** Time: runs that start later, and schedules that start runs. */
export const schedules = {
  number: 7,
  name: 'schedules',
  // A new table, and a column that may be null: programs that do not know them go on.
  oldestProgram: 3,
  sql: `
-- When a run was told to begin; null: at once. What is due is still said by wake_at alone.
ALTER TABLE runs ADD COLUMN start_at TIMESTAMPTZ;

CREATE TABLE schedules (
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  id UUID NOT NULL,
  name VARCHAR(100) NOT NULL,
  cron VARCHAR(255) NOT NULL,
  -- IANA name.
  time_zone VARCHAR(64) NOT NULL,
  agent_name VARCHAR(255) NOT NULL,
  -- null: the version that is current at the time of the fire.
  agent_version VARCHAR(50),
  input JSONB NOT NULL,
  -- On whose behalf the runs are; groups and clearance are looked up at each fire.
  user_id VARCHAR(255) NOT NULL,
  -- As in runs.
  priority SMALLINT NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3),
  overlap VARCHAR(16) NOT NULL CHECK (overlap IN ('allow', 'skip')),
  catch_up VARCHAR(16) NOT NULL CHECK (catch_up IN ('none', 'last', 'all')),
  paused BOOLEAN NOT NULL DEFAULT false,
  -- The earliest fire that nobody has settled; null: paused, or none ever comes.
  next_at TIMESTAMPTZ,
  -- A node is at it and others leave it alone until then.
  claimed_until TIMESTAMPTZ,
  last_at TIMESTAMPTZ,
  last_outcome VARCHAR(16) CHECK (last_outcome IN ('started', 'skipped', 'failed', 'missed')),
  last_run_id UUID,
  last_error JSONB,
  failures INTEGER NOT NULL DEFAULT 0,
  -- Counts changes by people, so that two of them never overwrite each other unseen.
  revision INTEGER NOT NULL DEFAULT 1,
  created_by VARCHAR(255) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);
CREATE INDEX schedules_look ON schedules ((GREATEST(next_at, claimed_until))) WHERE next_at IS NOT NULL;
`,
} as const;
