/**
 * Approvals by several people, and escalation. Only adds: nodes of the version before it go on
 * running. Such a node knows one decider, so a constraint keeps it from granting alone what needs
 * more people; it answers with an error and nothing is granted.
 */
export const approvalVotes = {
  number: 4,
  name: 'approvals',
  oldestProgram: 3,
  sql: `
ALTER TABLE approvals
  ADD COLUMN min_approvals SMALLINT NOT NULL DEFAULT 1 CHECK (min_approvals >= 1),
  -- Of the round: an edit begins a new one, and what was granted before was another call.
  ADD COLUMN approvals_given SMALLINT NOT NULL DEFAULT 0,
  ADD COLUMN round SMALLINT NOT NULL DEFAULT 1,
  -- [{"after_ms": 1800000, "approvers": ["group:leads"]}], counted from created_at, in order of time.
  ADD COLUMN escalation JSONB NOT NULL DEFAULT '[]',
  -- How many stages have their event and their audit row.
  ADD COLUMN escalations_recorded SMALLINT NOT NULL DEFAULT 0,
  -- mark_done makes no call, so one person may say it.
  ADD CONSTRAINT approvals_enough CHECK (status <> 'approved' OR min_approvals = 1 OR verdict = 'mark_done' OR approvals_given >= min_approvals);

CREATE TABLE approval_votes (
  tenant_id VARCHAR(64) NOT NULL,
  approval_id UUID NOT NULL,
  round SMALLINT NOT NULL,
  voter VARCHAR(255) NOT NULL,
  verdict VARCHAR(16) NOT NULL,
  call_hash VARCHAR(64) NOT NULL,
  comment TEXT,
  voted_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, approval_id, round, voter, verdict),
  FOREIGN KEY (tenant_id, approval_id) REFERENCES approvals (tenant_id, id) ON DELETE CASCADE
);
-- R6: one person counts once.
CREATE UNIQUE INDEX approval_votes_one_grant ON approval_votes (tenant_id, approval_id, round, voter) WHERE verdict IN ('approve', 'edit', 'retry');

-- Decisions that were made before votes had rows; of an edit the hash of the edited call was not kept.
INSERT INTO approval_votes (tenant_id, approval_id, round, voter, verdict, call_hash, comment, voted_at)
SELECT tenant_id, id, 1, decided_by, verdict, call_hash, comment, decided_at FROM approvals WHERE decided_by IS NOT NULL AND verdict IS NOT NULL AND decided_at IS NOT NULL AND verdict <> 'edit';
UPDATE approvals SET approvals_given = 1 WHERE status = 'approved';
`,
} as const;
