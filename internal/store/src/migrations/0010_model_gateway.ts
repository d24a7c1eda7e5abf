/** What the model gateway keeps: counters of its limits, its ledger, and virtual keys. */
export const modelGateway = {
  number: 10,
  name: 'model_gateway',
  // New tables alone.
  oldestProgram: 3,
  sql: `
CREATE TABLE limit_counters (
  tenant_id VARCHAR(64) NOT NULL,
  -- Who and what, e.g. user:alice/tokens/minute. One row for all time: where a bucket ends is decided under its lock.
  counter VARCHAR(512) NOT NULL,
  -- Number of the bucket: of the minute or day since 1970, of the month since year 0; 0 where nothing ends.
  bucket BIGINT NOT NULL,
  -- Requests, tokens or nano-dollars.
  used BIGINT NOT NULL,
  -- Of the bucket before it.
  before BIGINT NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, counter)
-- Every request changes its rows in place: room in the page saves the index from growing.
) WITH (fillfactor = 50);

CREATE TABLE model_usage (
  tenant_id VARCHAR(64) NOT NULL,
  -- Its beginning; calls belong to the hour in which they ended.
  hour TIMESTAMPTZ NOT NULL,
  -- Empty: none. No references: what was spent outlives who spent it.
  key_id VARCHAR(64) NOT NULL,
  user_id VARCHAR(300) NOT NULL,
  -- Of the platform, or as a client calls its own.
  agent_id VARCHAR(255) NOT NULL,
  run_id VARCHAR(64) NOT NULL,
  backend VARCHAR(255) NOT NULL,
  model VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  -- hit, shared, miss, bypass or off.
  cache VARCHAR(16) NOT NULL,
  calls BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  prompt_tokens BIGINT NOT NULL,
  completion_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL,
  reasoning_tokens BIGINT NOT NULL,
  cost_usd_nanos BIGINT NOT NULL,
  -- Calls whose tokens no server has counted.
  estimated BIGINT NOT NULL,
  latency_ms BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, hour, key_id, user_id, agent_id, run_id, backend, model, kind, cache)
);

-- To find old hours of all tenants; rows come in about their order.
CREATE INDEX model_usage_hours ON model_usage USING brin (hour);

-- What was written: a batch whose answer was lost is sent again, and counted once.
CREATE TABLE model_usage_batches (
  id UUID PRIMARY KEY,
  written_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE TABLE model_keys (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  name VARCHAR(100) NOT NULL,
  -- SHA-256 of the key; the key itself is shown once and never stored.
  key_hash VARCHAR(64) NOT NULL UNIQUE,
  prefix VARCHAR(16) NOT NULL,
  -- A user id, or service:NAME.
  owner VARCHAR(300) NOT NULL,
  models TEXT[],
  sensitivity SMALLINT NOT NULL CHECK (sensitivity BETWEEN 1 AND 3),
  labels TEXT[] NOT NULL,
  -- By somebody who acts for others. Else they are the owner's own, and hold while he is in the groups.
  labels_granted BOOLEAN NOT NULL,
  priority INTEGER NOT NULL,
  limits JSONB NOT NULL,
  expires_at TIMESTAMPTZ,
  created_by VARCHAR(255) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  revoked_at TIMESTAMPTZ,
  last_used_at TIMESTAMPTZ,
  revision INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);
`,
} as const;
