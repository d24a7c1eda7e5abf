/**
 * The store: every SQL statement of the platform, one per file, and the migrations.
 * Functions take the pool (or a test's) as `db`; the commit lane is the one writer of what is audited.
 */
export * from './access/api-keys.ts';
export * from './access/users.ts';
export * from './agents/create-agent.ts';
export * from './agents/find-agent.ts';
export * from './agents/list-agents.ts';
export * from './agents/set-agent-status.ts';
export * from './approvals/decide-approval.ts';
export * from './approvals/get-approval.ts';
export * from './approvals/list-approvals.ts';
export * from './audit/append-audit.ts';
export * from './audit/audit-heads.ts';
export type { AuditRow, ChainHead, UnchainedAuditRow } from './audit/audit-row.ts';
export * from './audit/ensure-partitions.ts';
export * from './audit/list-unsealed-tails.ts';
export * from './audit/read-audit.ts';
export * from './commit-lane.ts';
export type { Queryable, Statement } from './database.ts';
export { toStoreError } from './database.ts';
export * from './feedback/feedback.ts';
export * from './feedback/preference-pairs.ts';
export * from './embedded/open-embedded-server.ts';
export * from './knowledge/index.ts';
export * from './migrate.ts';
export { migrations } from './migrations/index.ts';
export * from './nodes/beat-node.ts';
export * from './nodes/list-live-nodes.ts';
export * from './nodes/register-node.ts';
export * from './nodes/stop-nodes.ts';
export * from './ping.ts';
export * from './policies/policies.ts';
export * from './runs/accept-run.ts';
export * from './runs/claim-runs.ts';
export * from './runs/get-run.ts';
export * from './runs/list-cancelled-runs.ts';
export * from './runs/list-runs.ts';
export * from './runs/read-events.ts';
export * from './runs/read-signals.ts';
export * from './runs/read-steps.ts';
export * from './runs/request-cancel.ts';
export * from './usage/forget-counters.ts';
export * from './usage/reserve-quota.ts';
export * from './usage/sum-usage.ts';
