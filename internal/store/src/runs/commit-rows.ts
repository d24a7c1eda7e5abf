import type { RunCommit, Step, ThinkStep, UsageEntry } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { ChainedAuditRow } from '../audit/audit-row.ts';
import { fromRunError } from '../rows.ts';
import type { CompositeType } from '../wire/composite-array.ts';
import { bool, int4, int8, jsonb, jsonbText, text, timestamptz, timestamptzText, uuid } from '../wire/composite-array.ts';

/**
 * The rows of a commit, type by type, in the order of migrations/0009_commit_rows.ts. `i` is the place of the commit in
 * its statement. What is null or undefined is NULL, JSON null too.
 */
export const COMMIT_RUN: CompositeType<RunCommit> = {
  name: 'openeaap_commit_run',
  columns: [
    int4('i', (_c, place) => place),
    text('tenant_id', (c) => c.lease.tenantId),
    uuid('run_id', (c) => c.lease.runId),
    uuid('node_id', (c) => c.lease.nodeId),
    int8('epoch', (c) => c.lease.epoch),
    int8('commit_no', (c) => c.commitNo),
    int8('expect_signal_no', (c) => c.expectSignalNo),
    text('status', (c) => c.to?.status),
    text('pause_reason', (c) => (c.to?.status === 'paused' ? c.to.reason : null)),
    timestamptz('wake_at', (c) => (c.to?.status === 'paused' ? c.to.wakeAt : null)),
    jsonb('output', (c) => (c.to?.status === 'completed' ? c.to.output : null)),
    jsonb('error', (c) => (c.to?.status === 'failed' || c.to?.status === 'cancelled' ? fromRunError(c.to.error) : null)),
    bool('ended', (c) => (c.to === null ? null : c.to.status !== 'paused')),
    int4('event_count', (c) => c.events.length),
    int4('newest_step', (c) => c.steps.reduce((newest, step) => Math.max(newest, step.no), 0)),
    int8('prompt_tokens', (c) => sumOf(c, 'promptTokens')),
    int8('completion_tokens', (c) => sumOf(c, 'completionTokens')),
    int8('cost_usd_micros', (c) => sumOf(c, 'costUsdMicros')),
  ],
};

const sumOf = (commit: RunCommit, part: 'promptTokens' | 'completionTokens' | 'costUsdMicros'): number => commit.usage.reduce((sum, { usage }) => sum + usage[part], 0);

/** An event and how far it is from the last one of its commit: its number is counted from the run's own row. */
export interface PlacedEvent {
  readonly fromLast: number;
  readonly event: RunCommit['events'][number];
}

export const COMMIT_EVENT: CompositeType<PlacedEvent> = {
  name: 'openeaap_commit_event',
  columns: [int4('i', (_e, place) => place), int4('from_last', (e) => e.fromLast), text('type', (e) => e.event.type), jsonb('data', (e) => e.event.data)],
};

export const COMMIT_AUDIT: CompositeType<ChainedAuditRow> = {
  name: 'openeaap_commit_audit',
  columns: [
    uuid('id', (r) => r.id),
    text('tenant_id', (r) => r.tenant_id),
    uuid('run_id', (r) => r.run_id),
    text('trace_id', (r) => r.trace_id),
    text('actor', (r) => r.actor),
    text('action_type', (r) => r.action_type),
    text('phase', (r) => r.phase),
    text('decision', (r) => r.decision),
    text('outcome', (r) => r.outcome),
    text('rule', (r) => r.rule),
    int4('step_no', (r) => r.step_no),
    jsonbText('metadata', (r) => r.metadata),
    text('sanitized_input', (r) => r.sanitized_input),
    text('sanitized_output', (r) => r.sanitized_output),
    timestamptzText('created_at', (r) => r.created_at),
    uuid('chain_id', (r) => r.chain_id),
    int8('chain_seq', (r) => r.chain_seq),
    text('prev_hash', (r) => r.prev_hash),
    text('row_hash', (r) => r.row_hash),
  ],
};

const thinkOf = (step: Step): ThinkStep | null => (step.kind === 'think' ? step : null);
const actOf = (step: Step): (Step & { readonly kind: 'act' }) | null => (step.kind === 'act' ? step : null);

/** What a list has; an empty one is NULL. */
const unlessEmpty = <T>(list: readonly T[] | undefined): readonly T[] | null => (list === undefined || list.length === 0 ? null : list);

export const COMMIT_STEP: CompositeType<Step> = {
  name: 'openeaap_commit_step',
  columns: [
    int4('i', (_s, place) => place),
    int4('no', (s) => s.no),
    uuid('id', (s) => s.id),
    text('kind', (s) => s.kind),
    text('status', (s) => s.status),
    text('policy_version', (s) => s.policyVersion),
    text('agent_version', (s) => s.agentVersion),
    jsonb('decision', (s) => s.decision),
    jsonb('error', (s) => s.error),
    timestamptz('started_at', (s) => s.startedAt),
    timestamptz('finished_at', (s) => s.finishedAt),
    jsonb('proposal', (s) => thinkOf(s)?.proposal),
    jsonb('usage', (s) => thinkOf(s)?.usage),
    text('model', (s) => thinkOf(s)?.model),
    jsonb('strategy_state', (s) => thinkOf(s)?.strategyState),
    jsonb('reported_by_runtime', (s) => unlessEmpty(thinkOf(s)?.reportedByRuntime)),
    int4('think_no', (s) => actOf(s)?.thinkNo),
    text('call_id', (s) => actOf(s)?.callId),
    text('tool', (s) => actOf(s)?.tool),
    jsonb('args', (s) => actOf(s)?.args),
    uuid('approval_id', (s) => actOf(s)?.approvalId),
    int4('attempts', (s) => actOf(s)?.attempts),
    jsonb('lineage', (s) => unlessEmpty(actOf(s)?.lineage)),
    jsonb('result', (s) => actOf(s)?.result),
    bool('suspicious', (s) => (actOf(s)?.suspicious === true ? true : null)),
  ],
};

/** A call that is in the journal already, as it was and as it is now. */
export interface ChangedAct {
  readonly now: Step & { readonly kind: 'act' };
  readonly before: Step & { readonly kind: 'act' };
}

/** A think is written once, when it has been thought. */
export function toChangedAct(now: Step, before: Step): ChangedAct {
  if (now.kind === 'think' || before.kind === 'think' || now.no !== before.no) throw new PlatformError('internal', `Step ${now.no} is in the journal already and is no call that could change.`);
  return { now, before };
}

/** The columns of a call that can change; the arguments and the decision are sent again only with a person's edit. */
export const COMMIT_CHANGE: CompositeType<ChangedAct> = {
  name: 'openeaap_commit_change',
  columns: [
    int4('i', (_a, place) => place),
    int4('no', (a) => a.now.no),
    text('status', (a) => a.now.status),
    jsonb('decision', (a) => (a.now.decision === a.before.decision ? null : a.now.decision)),
    jsonb('error', (a) => a.now.error),
    timestamptz('started_at', (a) => a.now.startedAt),
    timestamptz('finished_at', (a) => a.now.finishedAt),
    jsonb('args', (a) => (a.now.args === a.before.args ? null : a.now.args)),
    uuid('approval_id', (a) => a.now.approvalId),
    int4('attempts', (a) => a.now.attempts),
    jsonb('lineage', (a) => unlessEmpty(a.now.lineage)),
    jsonb('result', (a) => a.now.result),
    bool('suspicious', (a) => (a.now.suspicious ? true : null)),
  ],
};

export const COMMIT_USAGE: CompositeType<UsageEntry> = {
  name: 'openeaap_commit_usage',
  columns: [
    int4('i', (_u, place) => place),
    int4('step_no', (u) => u.stepNo),
    text('model', (u) => u.backend),
    int8('prompt_tokens', (u) => u.usage.promptTokens),
    int8('completion_tokens', (u) => u.usage.completionTokens),
    int8('cost_usd_micros', (u) => u.usage.costUsdMicros),
  ],
};

export const COMMIT_TYPES = [COMMIT_RUN, COMMIT_EVENT, COMMIT_AUDIT, COMMIT_STEP, COMMIT_CHANGE, COMMIT_USAGE] as const;
