/**
 * The control plane's tables: those of document section 15.1, column for column, with what the
 * design adds. `tenant_id` has a default so that the document's own statements work as written.
 * Keys start with `tenant_id` so that the tables can be distributed by tenant later. Ids that the
 * platform makes are UUIDv7, so that the primary key is also the order of creation.
 */
export const controlPlane = {
  number: 1,
  name: 'control_plane',
  sql: `
CREATE TABLE agents (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  name VARCHAR(255) NOT NULL,
  version VARCHAR(50) NOT NULL,
  configuration JSONB NOT NULL,
  status VARCHAR(50) DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'deprecated')),
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  -- The version of a name that was published last is the current one; publishing an older one again is the rollback.
  published_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name, version)
);

CREATE TABLE runs (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  agent_id UUID,
  user_id VARCHAR(255) NOT NULL,
  trace_id VARCHAR(255) NOT NULL,
  idempotency_key VARCHAR(255),
  status VARCHAR(50) NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'completed', 'failed', 'cancelled')),
  input_payload JSONB,
  output_payload JSONB,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  finished_at TIMESTAMPTZ,
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  agent_name VARCHAR(255) NOT NULL DEFAULT '',
  agent_version VARCHAR(50) NOT NULL DEFAULT '',
  policy_version VARCHAR(80) NOT NULL DEFAULT '',
  groups TEXT[] NOT NULL DEFAULT '{}',
  clearance SMALLINT NOT NULL DEFAULT 1,
  root_span_id VARCHAR(16) NOT NULL DEFAULT '',
  request_hash VARCHAR(64) NOT NULL DEFAULT '',
  source VARCHAR(255) NOT NULL DEFAULT 'api',
  error JSONB,
  pause_reason VARCHAR(50),
  step_count INTEGER NOT NULL DEFAULT 0,
  last_seq BIGINT NOT NULL DEFAULT 0,
  prompt_tokens BIGINT NOT NULL DEFAULT 0,
  completion_tokens BIGINT NOT NULL DEFAULT 0,
  cost_usd_micros BIGINT NOT NULL DEFAULT 0,
  -- R2: the owner, and the epoch that every commit of the owner is fenced by.
  node_id UUID,
  lease_epoch BIGINT NOT NULL DEFAULT 0,
  commit_no BIGINT NOT NULL DEFAULT 0,
  -- Counts what was sent to the run from outside: decisions and cancellations.
  signal_no BIGINT NOT NULL DEFAULT 0,
  -- When a run that nobody owns wants to be looked at; null: not before a signal.
  wake_at TIMESTAMPTZ,
  cancel_requested_at TIMESTAMPTZ,
  cancel_requested_by VARCHAR(255),
  cancel_reason TEXT,
  started_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, idempotency_key),
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id)
);
CREATE INDEX runs_waiting ON runs (wake_at) WHERE status IN ('pending', 'paused');
CREATE INDEX runs_owned ON runs (node_id) WHERE status = 'running';
CREATE INDEX runs_of_user ON runs (tenant_id, user_id, id DESC);

-- Steps and events are written only by statements that join the row of their run (commit-runs.ts), so
-- a foreign key could never fail here; checking it would cost each row of a commit a look-up.
CREATE TABLE run_steps (
  tenant_id VARCHAR(64) NOT NULL,
  run_id UUID NOT NULL,
  no INTEGER NOT NULL,
  id UUID NOT NULL,
  kind VARCHAR(8) NOT NULL CHECK (kind IN ('think', 'act')),
  status VARCHAR(32) NOT NULL,
  policy_version VARCHAR(80) NOT NULL,
  agent_version VARCHAR(50) NOT NULL,
  decision JSONB,
  error JSONB,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  -- think
  proposal JSONB,
  usage JSONB,
  model VARCHAR(255),
  strategy_state JSONB,
  reported_by_runtime JSONB,
  -- act
  think_no INTEGER,
  call_id VARCHAR(255),
  tool VARCHAR(255),
  args JSONB,
  approval_id UUID,
  attempts INTEGER,
  lineage JSONB,
  result JSONB,
  suspicious BOOLEAN,
  PRIMARY KEY (tenant_id, run_id, no)
);

CREATE TABLE run_events (
  tenant_id VARCHAR(64) NOT NULL,
  run_id UUID NOT NULL,
  seq BIGINT NOT NULL,
  type VARCHAR(50) NOT NULL,
  data JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, run_id, seq)
);

CREATE TABLE approvals (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  run_id UUID NOT NULL,
  step_no INTEGER NOT NULL,
  kind VARCHAR(16) NOT NULL CHECK (kind IN ('gate', 'uncertain')),
  tool VARCHAR(255) NOT NULL,
  args JSONB NOT NULL,
  edited_args JSONB,
  call_hash VARCHAR(64) NOT NULL,
  rule VARCHAR(255) NOT NULL,
  reason TEXT NOT NULL,
  approvers TEXT[] NOT NULL,
  forbid_requester BOOLEAN NOT NULL,
  requester_id VARCHAR(255) NOT NULL,
  policy_version VARCHAR(80) NOT NULL,
  status VARCHAR(16) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
  verdict VARCHAR(16),
  decided_by VARCHAR(255),
  decided_at TIMESTAMPTZ,
  comment TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  expires_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES runs (tenant_id, id) ON DELETE CASCADE
);
-- R6: one call waits for one decision at a time.
CREATE UNIQUE INDEX approvals_one_pending ON approvals (tenant_id, run_id, step_no) WHERE status = 'pending';
CREATE INDEX approvals_of_run ON approvals (tenant_id, run_id);

CREATE TABLE nodes (
  id UUID PRIMARY KEY,
  host VARCHAR(255) NOT NULL,
  pid INTEGER NOT NULL,
  version VARCHAR(50) NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  heartbeat_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  stopped_at TIMESTAMPTZ
);

CREATE TABLE usage (
  tenant_id VARCHAR(64) NOT NULL,
  run_id UUID NOT NULL,
  step_no INTEGER NOT NULL,
  agent_id UUID,
  user_id VARCHAR(255) NOT NULL,
  model VARCHAR(255) NOT NULL,
  prompt_tokens BIGINT NOT NULL,
  completion_tokens BIGINT NOT NULL,
  cost_usd_micros BIGINT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, run_id, step_no)
);
CREATE INDEX usage_by_time ON usage (tenant_id, created_at);

CREATE TABLE quota_counters (
  tenant_id VARCHAR(64) NOT NULL,
  counter VARCHAR(512) NOT NULL,
  used BIGINT NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, counter)
);

CREATE TABLE policies (
  tenant_id VARCHAR(64) NOT NULL,
  version VARCHAR(80) NOT NULL,
  files JSONB NOT NULL,
  loaded_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, version)
);

CREATE TABLE users (
  tenant_id VARCHAR(64) NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  groups TEXT[] NOT NULL DEFAULT '{}',
  clearance SMALLINT NOT NULL DEFAULT 1 CHECK (clearance BETWEEN 1 AND 3),
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE api_keys (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  name VARCHAR(255) NOT NULL,
  -- SHA-256 of the key; the key itself is shown once and never stored.
  key_hash VARCHAR(64) NOT NULL UNIQUE,
  user_id VARCHAR(255) NOT NULL,
  scopes TEXT[] NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  revoked_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE feedback (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  run_id UUID NOT NULL,
  user_id VARCHAR(255) NOT NULL,
  score SMALLINT NOT NULL CHECK (score IN (-1, 1)),
  correction TEXT,
  category VARCHAR(255),
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  -- Set when the feedback has become rows of the data set, which can only be after the run has ended.
  collected_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX feedback_waiting ON feedback (created_at) WHERE collected_at IS NULL;

CREATE TABLE preference_pairs (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  run_id UUID NOT NULL,
  feedback_id UUID NOT NULL,
  agent_name VARCHAR(255) NOT NULL,
  agent_version VARCHAR(50) NOT NULL,
  -- (prompt, chosen, rejected): both set makes a DPO pair; one alone is an unpaired example.
  prompt TEXT NOT NULL,
  chosen TEXT,
  rejected TEXT,
  category VARCHAR(255),
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, feedback_id),
  CHECK (chosen IS NOT NULL OR rejected IS NOT NULL)
);

-- The audit outlives the runs it speaks of, so it does not reference them.
CREATE TABLE audit_logs (
  id UUID NOT NULL DEFAULT gen_random_uuid(),
  run_id UUID,
  action_type VARCHAR(50) NOT NULL,
  metadata JSONB,
  sanitized_input TEXT,
  sanitized_output TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  trace_id VARCHAR(255) NOT NULL DEFAULT '',
  -- A kind, a colon and a user id of up to 255 characters.
  actor VARCHAR(300) NOT NULL DEFAULT '',
  phase VARCHAR(16) NOT NULL DEFAULT 'event',
  decision VARCHAR(32),
  outcome VARCHAR(32),
  rule VARCHAR(255),
  step_no INTEGER,
  -- One chain per writer, so that concurrent writers never fork it.
  chain_id UUID NOT NULL,
  chain_seq BIGINT NOT NULL,
  prev_hash VARCHAR(64) NOT NULL,
  row_hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (chain_id, chain_seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX audit_logs_of_run ON audit_logs (tenant_id, run_id);
CREATE INDEX audit_logs_newest ON audit_logs (tenant_id, created_at DESC, chain_id, chain_seq);

CREATE TABLE audit_heads (
  chain_id UUID NOT NULL,
  chain_seq BIGINT NOT NULL,
  row_hash VARCHAR(64) NOT NULL,
  signed_at TIMESTAMPTZ NOT NULL,
  public_key TEXT NOT NULL,
  signature TEXT NOT NULL,
  PRIMARY KEY (chain_id, chain_seq)
);

CREATE FUNCTION openeaap_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'OEA02';
END $$;

-- One partition per month, each with its own guard (a TRUNCATE of a partition does not fire its parent's trigger).
CREATE FUNCTION openeaap_ensure_audit_partition(month DATE) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first DATE := date_trunc('month', month)::date;
  part TEXT := 'audit_logs_' || to_char(first, 'YYYY_MM');
BEGIN
  IF to_regclass(part) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('openeaap_audit_partition'));
  IF to_regclass(part) IS NOT NULL THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF audit_logs FOR VALUES FROM (%L) TO (%L)',
                 part, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
  EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION openeaap_append_only()', part);
  EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION openeaap_append_only()', part);
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM PUBLIC', part);
END $$;

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION openeaap_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION openeaap_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION openeaap_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs, audit_heads FROM PUBLIC;

-- Makes a statement fail as a whole when one of its fences did not hold (R2, R3).
CREATE FUNCTION openeaap_refuse() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a fence did not hold' USING ERRCODE = 'OEA01';
END $$;
`,
} as const;
