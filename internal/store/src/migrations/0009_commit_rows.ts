/**
 * The rows of a commit as they are sent (commit-rows.ts): one composite type for each table, so that a statement takes
 * them as arrays and not as JSON. The types say nothing about how rows are stored.
 */
export const commitRows = {
  number: 9,
  name: 'commit_rows',
  // Nobody older knows the types.
  oldestProgram: 3,
  sql: `
-- i is the place of the commit in its statement.
CREATE TYPE openeaap_commit_run AS (
  i int4, tenant_id text, run_id uuid, node_id uuid, epoch int8, commit_no int8, expect_signal_no int8,
  status text, pause_reason text, wake_at timestamptz, output jsonb, error jsonb, ended bool,
  event_count int4, newest_step int4, prompt_tokens int8, completion_tokens int8, cost_usd_micros int8);
CREATE TYPE openeaap_commit_event AS (i int4, from_last int4, type text, data jsonb);
CREATE TYPE openeaap_commit_audit AS (
  id uuid, tenant_id text, run_id uuid, trace_id text, actor text, action_type text, phase text, decision text, outcome text, rule text,
  step_no int4, metadata jsonb, sanitized_input text, sanitized_output text, created_at timestamptz,
  chain_id uuid, chain_seq int8, prev_hash text, row_hash text);
CREATE TYPE openeaap_commit_step AS (
  i int4, no int4, id uuid, kind text, status text, policy_version text, agent_version text, decision jsonb, error jsonb,
  started_at timestamptz, finished_at timestamptz, proposal jsonb, usage jsonb, model text, strategy_state jsonb, reported_by_runtime jsonb,
  think_no int4, call_id text, tool text, args jsonb, approval_id uuid, attempts int4, lineage jsonb, result jsonb, suspicious bool);
CREATE TYPE openeaap_commit_change AS (
  i int4, no int4, status text, decision jsonb, error jsonb, started_at timestamptz, finished_at timestamptz, args jsonb, approval_id uuid,
  attempts int4, lineage jsonb, result jsonb, suspicious bool);
CREATE TYPE openeaap_commit_usage AS (i int4, step_no int4, model text, prompt_tokens int8, completion_tokens int8, cost_usd_micros int8);
`,
} as const;
