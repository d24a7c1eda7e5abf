import type { Static, TSchema } from '@fastify/type-provider-typebox';
import type { Approval, Decision, LineageRef, Run, RunEvent, Step, TokenUsage } from '@openeaap/kernel';
import { MODEL_LIMIT_FIELDS, VERDICTS, approversAt } from '@openeaap/kernel';
import { toCursor } from './cursor.ts';
import type {
  AgentDetail,
  AuditEntry,
  AuditVerification,
  KnowledgeChunk,
  KnowledgeDocument,
  LineageItem,
  ModelItem,
  ModelKeyItem,
  ModelUsageRow,
  Page,
  PluginItem,
  PolicyInfo,
  PreferencePair,
  RunDetail,
  ScheduleDetail,
  ToolItem,
  UsageRow,
} from './port.ts';
import type * as Schema from './view-schema.ts';

type View<K extends keyof typeof Schema> = (typeof Schema)[K] extends infer S extends TSchema ? Static<S> : never;

/** From the platform's nouns to public JSON. The only place where names become snake_case. */
export const toPage = <T, V>(page: Page<T>, toView: (item: T) => V): { items: V[]; next_cursor: string | null } => ({
  items: page.items.map(toView),
  next_cursor: toCursor(page.nextCursor),
});

export const toItems = <T, V>(items: readonly T[], toView: (item: T) => V): { items: V[] } => ({ items: items.map(toView) });

export function toRunCreated(run: Run, replayed: boolean): View<'RunCreatedView'> {
  return {
    run_id: run.id,
    status: run.status,
    trace_id: run.traceId,
    agent_id: run.agentId,
    agent_version: run.agentVersion,
    start_at: toTime(run.startAt),
    created_at: run.createdAt.toISOString(),
    replayed,
  };
}

export function toRunView({ run, lineage, pendingApprovals }: RunDetail): View<'RunView'> {
  return {
    run_id: run.id,
    agent_id: run.agentId,
    agent_name: run.agentName,
    agent_version: run.agentVersion,
    policy_version: run.policyVersion,
    user_id: run.principal.userId,
    trace_id: run.traceId,
    status: run.status,
    priority: run.priority,
    pause_reason: run.pauseReason,
    input: run.input,
    output: run.output,
    error: run.error === null ? null : toRunError(run.error),
    source: run.source,
    step_count: run.stepCount,
    last_seq: run.lastSeq,
    usage: toUsage(run.usage),
    lineage: lineage.map(toLineage),
    pending_approvals: [...pendingApprovals],
    start_at: toTime(run.startAt),
    cancel_requested_at: toTime(run.cancelRequestedAt),
    created_at: run.createdAt.toISOString(),
    started_at: toTime(run.startedAt),
    finished_at: toTime(run.finishedAt),
  };
}

function toRunError(error: NonNullable<Run['error']>): NonNullable<View<'RunView'>['error']> {
  const { code, message, fallbackText } = error;
  return fallbackText === undefined ? { code, message } : { code, message, fallback_text: fallbackText };
}

export function toScheduleView({ schedule, nextFires, lastRunStatus, lastError, failuresInARow }: ScheduleDetail): View<'ScheduleView'> {
  return {
    schedule_id: schedule.id,
    name: schedule.name,
    cron: schedule.cron,
    time_zone: schedule.timeZone,
    agent: schedule.agentVersion === null ? schedule.agentName : `${schedule.agentName}@${schedule.agentVersion}`,
    input: schedule.input,
    user_id: schedule.userId,
    priority: schedule.priority,
    overlap: schedule.overlap,
    catch_up: schedule.catchUp,
    paused: schedule.paused,
    next_at: toTime(schedule.nextAt),
    next_fires: [...nextFires],
    last_at: toTime(schedule.lastAt),
    last_outcome: schedule.lastOutcome,
    last_run_id: schedule.lastRunId,
    last_run_status: lastRunStatus,
    last_error: lastError === null ? null : { code: lastError.code, message: lastError.message },
    failures_in_a_row: failuresInARow,
    created_by: schedule.createdBy,
    created_at: schedule.createdAt.toISOString(),
    updated_at: schedule.updatedAt.toISOString(),
  };
}

export function toStepView(step: Step): View<'ThinkStepView'> | View<'ActStepView'> {
  const shared = { no: step.no, policy_version: step.policyVersion, agent_version: step.agentVersion, started_at: step.startedAt.toISOString(), finished_at: toTime(step.finishedAt) };
  const error = step.error === null ? null : { code: step.error.code, message: step.error.message };
  if (step.kind === 'think') {
    return {
      ...shared,
      kind: 'think',
      status: step.status,
      thought: step.proposal?.thought ?? null,
      calls: (step.proposal?.calls ?? []).map((call) => ({ ...call })),
      output: step.proposal?.output ?? null,
      usage: toUsage(step.usage),
      model: step.model,
      decision: toDecisionView(step.decision),
      error,
      reported_by_runtime: [...step.reportedByRuntime],
    };
  }
  return {
    ...shared,
    kind: 'act',
    think_no: step.thinkNo,
    call_id: step.callId,
    tool: step.tool,
    args: step.args,
    status: step.status,
    decision: step.decision === null ? null : toDecisionView(step.decision),
    approval_id: step.approvalId,
    result: step.result,
    suspicious: step.suspicious,
    error,
    attempts: step.attempts,
    lineage: step.lineage.map(toLineage),
  };
}

export function toDecisionView(decision: Decision): View<'DecisionView'> {
  const shared = { effect: decision.effect, rule: decision.rule, reason: decision.reason, policy_version: decision.policyVersion };
  if (decision.effect === 'deny') return shared;
  if (decision.effect === 'allow') {
    const { blockedTools, dryRun, maxTokens } = decision.constraints;
    return { ...shared, constraints: { blocked_tools: [...blockedTools], dry_run: dryRun, max_tokens: maxTokens } };
  }
  const { approvers, timeoutMs, forbidRequester, minApprovals, escalation } = decision.approval;
  return {
    ...shared,
    approval: {
      approvers: [...approvers],
      timeout_ms: timeoutMs,
      forbid_requester: forbidRequester,
      min_approvals: minApprovals,
      escalation: escalation.map((stage) => ({ after_ms: stage.afterMs, approvers: [...stage.approvers] })),
    },
  };
}

export function toEventView(event: RunEvent): View<'EventView'> {
  return { seq: event.seq, type: event.type, data: event.data, at: event.at.toISOString() };
}

export function toLineageItem(item: LineageItem): View<'LineageItemView'> {
  return { step_no: item.stepNo, ...toLineage(item), content: item.content };
}

export function toApprovalView(approval: Approval): View<'ApprovalView'> {
  return {
    approval_id: approval.id,
    run_id: approval.runId,
    step_no: approval.stepNo,
    kind: approval.kind,
    tool: approval.tool,
    args: approval.args,
    edited_args: approval.editedArgs,
    call_hash: approval.callHash,
    rule: approval.rule,
    reason: approval.reason,
    approvers: [...approval.approvers],
    approvers_now: [...approversAt(approval, approval.decidedAt ?? approval.readAt)],
    forbid_requester: approval.forbidRequester,
    min_approvals: approval.minApprovals,
    approvals_given: approval.approvalsGiven,
    votes: approval.votes.map((vote) => ({
      voter: vote.voter,
      verdict: vote.verdict,
      call_hash: vote.callHash,
      counts: vote.round === approval.round,
      comment: vote.comment,
      at: vote.at.toISOString(),
    })),
    escalation: approval.escalation.map((stage) => ({ at: stage.at.toISOString(), approvers: [...stage.approvers], escalated: stage.recorded })),
    requester: approval.requesterId,
    policy_version: approval.policyVersion,
    status: approval.status,
    verdict: approval.verdict,
    decided_by: approval.decidedBy,
    decided_at: toTime(approval.decidedAt),
    comment: approval.comment,
    created_at: approval.createdAt.toISOString(),
    expires_at: approval.expiresAt.toISOString(),
    allowed_verdicts: approval.status === 'pending' ? [...VERDICTS[approval.kind]] : [],
  };
}

export function toAgentView({ agent, current }: AgentDetail): View<'AgentView'> {
  const { configuration, ...rest } = agent;
  const { model } = configuration;
  return {
    agent_id: rest.id,
    name: rest.name,
    version: rest.version,
    status: rest.status,
    configuration: {
      description: configuration.description,
      runtime: configuration.runtime,
      entrypoint: configuration.entrypoint,
      settings: configuration.settings,
      reasoning: configuration.reasoning,
      system_prompt: configuration.systemPrompt,
      tools: [...configuration.tools],
      model: { name: model.name, temperature: model.temperature, max_tokens: model.maxTokens, tool_calling: model.toolCalling, ...(model.allowed === undefined ? {} : { allowed: [...model.allowed] }) },
      max_steps: configuration.maxSteps,
      think_timeout_ms: configuration.thinkTimeoutMs,
      dry_run: configuration.dryRun,
      fallback_text: configuration.fallbackText,
    },
    created_at: rest.createdAt.toISOString(),
    updated_at: rest.updatedAt.toISOString(),
    current,
  };
}

export function toToolView({ spec, plugin }: ToolItem): View<'ToolView'> {
  return {
    name: spec.name,
    version: spec.version,
    plugin,
    description: spec.description,
    input_schema: spec.inputSchema,
    effect: spec.effect,
    idempotent: spec.idempotent,
    timeout_ms: spec.timeoutMs,
    untrusted_output: spec.untrustedOutput ?? false,
  };
}

export const toPluginView = ({ name, version, kind, status, detail, source, sdk, copies, tools, agents, warnings }: PluginItem): View<'PluginView'> => ({
  name,
  version,
  kind,
  status,
  detail,
  source,
  sdk,
  copies: { ...copies },
  tools: [...tools],
  agents: [...agents],
  warnings: [...warnings],
});

export const toModelView = ({ name, type, labels, capabilities }: ModelItem): View<'ModelView'> => ({
  name,
  type,
  labels: { ...labels },
  capabilities: [...capabilities],
});

export const toPolicyView = ({ version, loadedAt, files }: PolicyInfo): View<'PolicyView'> => ({
  version,
  loaded_at: loadedAt.toISOString(),
  files: files.map(({ name, sha256 }) => ({ name, sha256 })),
});

export function toAuditView(entry: AuditEntry): View<'AuditView'> {
  return {
    id: entry.id,
    run_id: entry.runId,
    trace_id: entry.traceId,
    actor: entry.actor,
    action_type: entry.actionType,
    phase: entry.phase,
    decision: entry.decision,
    outcome: entry.outcome,
    rule: entry.rule,
    step_no: entry.stepNo,
    metadata: entry.metadata,
    sanitized_input: entry.sanitizedInput,
    sanitized_output: entry.sanitizedOutput,
    chain_id: entry.chainId,
    chain_seq: entry.chainSeq,
    prev_hash: entry.prevHash,
    row_hash: entry.rowHash,
    created_at: entry.createdAt.toISOString(),
  };
}

export function toAuditVerificationView(verification: AuditVerification): View<'AuditVerificationView'> {
  const { ok, chains, rows, problems } = verification;
  return {
    ok,
    chains,
    rows,
    problems: problems.map(({ kind, chainId, chainSeq, rowId, detail }) => ({ kind, chain_id: chainId, chain_seq: chainSeq, row_id: rowId, detail })),
  };
}

export function toUsageRowView(row: UsageRow): View<'UsageRowView'> {
  const usage = { key: row.key, ...toUsage(row) };
  return row.runs === null ? usage : { ...usage, runs: row.runs };
}

export function toModelKeyView(key: ModelKeyItem): View<'ModelKeyView'> {
  return {
    model_key_id: key.id,
    name: key.name,
    prefix: key.prefix,
    status: key.status,
    owner: key.owner,
    models: key.models === null ? null : [...key.models],
    sensitivity: key.sensitivity,
    labels: [...key.labels],
    priority: key.priority,
    limits: Object.fromEntries(MODEL_LIMIT_FIELDS.map(({ of, name }) => [name, key.limits[of]])),
    expires_at: toTime(key.expiresAt),
    created_by: key.createdBy,
    created_at: key.createdAt.toISOString(),
    updated_at: key.updatedAt.toISOString(),
    revoked_at: toTime(key.revokedAt),
    last_used_at: toTime(key.lastUsedAt),
  };
}

export function toModelUsageRowView(row: ModelUsageRow): View<'ModelUsageRowView'> {
  return {
    key: row.key,
    calls: row.calls,
    failed: row.failed,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    reasoning_tokens: row.reasoningTokens,
    cost_usd: row.costUsdNanos / 1_000_000_000,
    estimated_calls: row.estimated,
    estimated_share: row.calls === 0 ? 0 : row.estimated / row.calls,
    latency_ms: row.calls === 0 ? 0 : Math.round(row.latencyMs / row.calls),
  };
}

export function toChunkView(chunk: KnowledgeChunk): View<'ChunkView'> {
  return {
    chunk_id: chunk.chunkId,
    title: chunk.title,
    heading_path: [...chunk.headingPath],
    content: chunk.content,
    source: chunk.source,
    score: chunk.score,
    sensitivity: chunk.sensitivity,
    access_group: chunk.accessGroup,
  };
}

export function toDocumentView(document: KnowledgeDocument): View<'DocumentView'> {
  return {
    document_id: document.documentId,
    title: document.title,
    source: document.source,
    sensitivity: document.sensitivity,
    access_group: document.accessGroup,
    chunks: document.chunks,
    updated_at: document.updatedAt.toISOString(),
  };
}

export function toPreferencePairView(pair: PreferencePair): View<'PreferencePairView'> {
  const { id, runId, prompt, chosen, rejected, category, createdAt } = pair;
  return { id, run_id: runId, prompt, chosen, rejected, category, created_at: createdAt.toISOString() };
}

const toLineage = ({ chunkId, title, source, score }: LineageRef): View<'LineageView'> => ({ chunk_id: chunkId, title, source, score });

const toUsage = (usage: Pick<TokenUsage, 'promptTokens' | 'completionTokens' | 'costUsdMicros'>): View<'UsageView'> => ({
  prompt_tokens: usage.promptTokens,
  completion_tokens: usage.completionTokens,
  cost_usd: usage.costUsdMicros / 1_000_000,
});

const toTime = (date: Date | null): string | null => date?.toISOString() ?? null;
