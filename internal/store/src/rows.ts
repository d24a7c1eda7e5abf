import type {
  ActStep,
  Agent,
  AgentConfiguration,
  AgentStatus,
  Approval,
  ApprovalVote,
  Decision,
  JsonObject,
  JsonValue,
  LineageRef,
  PauseReason,
  Proposal,
  Run,
  RunError,
  RunEvent,
  RunEventType,
  RunStatus,
  Sensitivity,
  Step,
  StepError,
  TokenUsage,
} from '@openeaap/kernel';
import { AGENT_DEFAULTS, NO_USAGE, PRIORITIES } from '@openeaap/kernel';

/**
 * Rows as they come from PostgreSQL, and the pure functions that turn them into the kernel's
 * nouns. snake_case ends here. BIGINT arrives as text; every one of ours is far below 2^53.
 */
export interface RunRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly agent_id: string;
  readonly agent_name: string;
  readonly agent_version: string;
  readonly policy_version: string;
  readonly user_id: string;
  readonly groups: string[];
  readonly clearance: number;
  readonly trace_id: string;
  readonly root_span_id: string;
  readonly idempotency_key: string | null;
  readonly request_hash: string;
  readonly status: RunStatus;
  readonly input_payload: JsonValue;
  readonly output_payload: JsonValue;
  readonly error: { code: RunError['code']; message: string; fallback_text?: string } | null;
  readonly pause_reason: PauseReason | null;
  readonly source: string;
  readonly step_count: number;
  readonly last_seq: string;
  readonly prompt_tokens: string;
  readonly completion_tokens: string;
  readonly cost_usd_micros: string;
  readonly priority: number;
  readonly lease_epoch: string;
  readonly commit_no: string;
  readonly signal_no: string;
  readonly start_at: Date | null;
  readonly cancel_requested_at: Date | null;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
}

export function toRun(row: RunRow): Run {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    agentId: row.agent_id,
    agentName: row.agent_name,
    agentVersion: row.agent_version,
    policyVersion: row.policy_version,
    principal: { tenantId: row.tenant_id, userId: row.user_id, groups: row.groups, clearance: toSensitivity(row.clearance) },
    traceId: row.trace_id,
    idempotencyKey: row.idempotency_key,
    priority: PRIORITIES[row.priority] ?? 'normal',
    status: row.status,
    input: row.input_payload,
    output: row.output_payload,
    error: row.error === null ? null : toRunError(row.error),
    pauseReason: row.pause_reason,
    source: row.source,
    stepCount: row.step_count,
    lastSeq: Number(row.last_seq),
    usage: {
      promptTokens: Number(row.prompt_tokens),
      completionTokens: Number(row.completion_tokens),
      costUsdMicros: Number(row.cost_usd_micros),
    },
    startAt: row.start_at,
    cancelRequestedAt: row.cancel_requested_at,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

function toRunError(error: NonNullable<RunRow['error']>): RunError {
  const base = { code: error.code, message: error.message };
  return error.fallback_text === undefined ? base : { ...base, fallbackText: error.fallback_text };
}

export const fromRunError = (error: RunError): object => ({ code: error.code, message: error.message, fallback_text: error.fallbackText });

/** Anything that is not a known level reads as the least right. */
export const toSensitivity = (level: number): Sensitivity => (level === 2 || level === 3 ? level : 1);

export interface StepRow {
  readonly no: number;
  readonly id: string;
  readonly kind: 'think' | 'act';
  readonly status: string;
  readonly policy_version: string;
  readonly agent_version: string;
  readonly decision: Decision | null;
  readonly error: StepError | null;
  readonly started_at: Date;
  readonly finished_at: Date | null;
  readonly proposal: Proposal | null;
  readonly usage: TokenUsage | null;
  readonly model: string | null;
  readonly strategy_state: JsonValue;
  readonly reported_by_runtime: JsonObject[] | null;
  readonly think_no: number | null;
  readonly call_id: string | null;
  readonly tool: string | null;
  readonly args: JsonValue;
  readonly approval_id: string | null;
  readonly attempts: number | null;
  readonly lineage: LineageRef[] | null;
  readonly result: JsonValue;
  readonly suspicious: boolean | null;
}

export function toStep(row: StepRow): Step {
  const base = { no: row.no, id: row.id, policyVersion: row.policy_version, agentVersion: row.agent_version, startedAt: row.started_at, finishedAt: row.finished_at };
  if (row.kind === 'think') {
    return {
      ...base,
      kind: 'think',
      decision: toDecision(row.decision as Decision),
      status: row.status === 'done' ? 'done' : 'failed',
      proposal: row.proposal,
      error: row.error,
      usage: row.usage ?? NO_USAGE,
      model: row.model ?? '',
      strategyState: row.strategy_state,
      reportedByRuntime: row.reported_by_runtime ?? [],
    };
  }
  return {
    ...base,
    kind: 'act',
    thinkNo: row.think_no ?? 0,
    callId: row.call_id ?? '',
    tool: row.tool ?? '',
    args: row.args,
    decision: row.decision === null ? null : toDecision(row.decision),
    approvalId: row.approval_id,
    status: row.status as ActStep['status'],
    attempts: row.attempts ?? 0,
    lineage: row.lineage ?? [],
    result: row.result,
    suspicious: row.suspicious ?? false,
    error: row.error,
  };
}

/** Steps that were written before approvals could ask for several people do not say how many. */
function toDecision(stored: Decision): Decision {
  return stored.effect === 'require_approval' ? { ...stored, approval: { ...stored.approval, minApprovals: stored.approval.minApprovals ?? 1, escalation: stored.approval.escalation ?? [] } } : stored;
}

export interface ApprovalRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly run_id: string;
  readonly step_no: number;
  readonly kind: Approval['kind'];
  readonly tool: string;
  readonly args: JsonValue;
  readonly edited_args: JsonValue;
  readonly call_hash: string;
  readonly rule: string;
  readonly reason: string;
  readonly approvers: string[];
  readonly forbid_requester: boolean;
  readonly min_approvals: number;
  readonly approvals_given: number;
  readonly round: number;
  readonly escalation: { after_ms: number; approvers: string[] }[];
  readonly escalations_recorded: number;
  readonly votes: { voter: string; verdict: ApprovalVote['verdict']; round: number; call_hash: string; comment: string | null; voted_at: string }[];
  readonly read_at: Date;
  readonly requester_id: string;
  readonly policy_version: string;
  readonly status: Approval['status'];
  readonly verdict: Approval['verdict'];
  readonly decided_by: string | null;
  readonly decided_at: Date | null;
  readonly comment: string | null;
  readonly created_at: Date;
  readonly expires_at: Date;
}

export function toApproval(row: ApprovalRow): Approval {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    runId: row.run_id,
    stepNo: row.step_no,
    kind: row.kind,
    tool: row.tool,
    args: row.args,
    editedArgs: row.edited_args,
    callHash: row.call_hash,
    rule: row.rule,
    reason: row.reason,
    approvers: row.approvers,
    forbidRequester: row.forbid_requester,
    minApprovals: row.min_approvals,
    approvalsGiven: row.approvals_given,
    round: row.round,
    votes: row.votes.map((vote) => ({ voter: vote.voter, verdict: vote.verdict, round: vote.round, callHash: vote.call_hash, comment: vote.comment, at: new Date(vote.voted_at) })),
    escalation: row.escalation.map((stage, index) => ({
      at: new Date(row.created_at.getTime() + stage.after_ms),
      approvers: stage.approvers,
      recorded: index < row.escalations_recorded,
    })),
    requesterId: row.requester_id,
    policyVersion: row.policy_version,
    status: row.status,
    verdict: row.verdict,
    decidedBy: row.decided_by,
    decidedAt: row.decided_at,
    comment: row.comment,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    readAt: row.read_at,
  };
}

/** Of `approvals a`: its row, its votes, and the clock by which it is judged. */
export const APPROVAL_COLUMNS = `
  a.*, now() AS read_at,
  COALESCE((SELECT jsonb_agg(to_jsonb(v.*) ORDER BY v.voted_at, v.round) FROM approval_votes v WHERE v.tenant_id = a.tenant_id AND v.approval_id = a.id), '[]') AS votes`;

export interface AgentRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly configuration: Partial<AgentConfiguration>;
  readonly status: AgentStatus;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly is_current: boolean;
}

/** What was written before a setting existed means its default. */
const toConfiguration = (stored: Partial<AgentConfiguration>): AgentConfiguration => ({ ...AGENT_DEFAULTS, ...stored });

export function toAgent(row: AgentRow): Agent & { readonly current: boolean } {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    name: row.name,
    version: row.version,
    status: row.status,
    configuration: toConfiguration(row.configuration),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    current: row.is_current,
  };
}

export interface EventRow {
  readonly run_id: string;
  readonly seq: string;
  readonly type: RunEventType;
  readonly data: JsonObject;
  readonly created_at: Date;
}

export const toEvent = (row: EventRow): RunEvent => ({ runId: row.run_id, seq: Number(row.seq), type: row.type, data: row.data, at: row.created_at });

/** Columns of an agent with whether it is the current version of its name: published, and published last. */
export const AGENT_COLUMNS = `
  a.tenant_id, a.id, a.name, a.version, a.configuration, a.status, a.created_at, a.updated_at,
  (a.status = 'published' AND NOT EXISTS (
    SELECT 1 FROM agents o WHERE o.tenant_id = a.tenant_id AND o.name = a.name AND o.status = 'published' AND o.published_at > a.published_at
  )) AS is_current`;
