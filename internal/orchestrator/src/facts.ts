import type { ActStep, AuditFact, Decision, JsonObject, JsonValue, NewApproval, ThinkStep } from '@openeaap/kernel';
import type { RunState } from './run-state.ts';

type FactOf = Omit<AuditFact, 'tenantId' | 'runId' | 'traceId' | 'actor' | 'metadata'> & { readonly actor?: string; readonly metadata?: JsonObject };

/** A fact about a run. The actor is the user on whose behalf it runs unless another is named. */
function fact(state: RunState, parts: FactOf): AuditFact {
  const { run, agent } = state;
  const about = { agent: agent.name, agent_version: agent.version, policy_version: run.policyVersion };
  return {
    tenantId: run.tenantId,
    runId: run.id,
    traceId: run.traceId,
    actor: parts.actor ?? `user:${run.principal.userId}`,
    action: parts.action,
    phase: parts.phase,
    decision: parts.decision,
    outcome: parts.outcome,
    rule: parts.rule,
    stepNo: parts.stepNo,
    metadata: parts.metadata === undefined ? about : Object.assign(about, parts.metadata),
    input: parts.input,
    output: parts.output,
  };
}

/** What is about to be thought, and what the PDP said of it. */
export function thinkIntent(state: RunState, stepNo: number, decision: Decision): AuditFact {
  return fact(state, {
    action: 'llm_invoke',
    phase: 'intent',
    decision: decision.effect,
    outcome: null,
    rule: decision.rule,
    stepNo,
    metadata: { reason: decision.reason },
    input: null,
    output: null,
  });
}

export function thinkOutcome(state: RunState, think: ThinkStep, durationMs: number): AuditFact {
  return fact(state, {
    action: 'llm_invoke',
    phase: 'outcome',
    decision: null,
    outcome: think.status === 'done' ? 'ok' : 'error',
    rule: null,
    stepNo: think.no,
    metadata: {
      model: think.model,
      prompt_tokens: think.usage.promptTokens,
      completion_tokens: think.usage.completionTokens,
      duration_ms: durationMs,
      ...(think.error === null ? {} : { error_code: think.error.code }),
      ...(think.reportedByRuntime.length === 0 ? {} : { reported_by_runtime: think.reportedByRuntime }),
    },
    input: think.no === 1 ? state.run.input : null,
    output: think.proposal === null ? null : { thought: think.proposal.thought, calls: think.proposal.calls.map((c) => ({ tool: c.tool, args: c.args })), output: think.proposal.output },
  });
}

/** A think that was stopped from outside before anything came of it. */
export function thinkInterrupted(state: RunState, stepNo: number, durationMs: number): AuditFact {
  return fact(state, { action: 'llm_invoke', phase: 'outcome', decision: null, outcome: 'interrupted', rule: null, stepNo, metadata: { duration_ms: durationMs }, input: null, output: null });
}

/** A call as it was decided: allowed, denied, held, or refused before the PDP saw it (`decision` null). */
export function actIntent(state: RunState, act: ActStep): AuditFact {
  return fact(state, {
    action: 'tool_call',
    phase: 'intent',
    decision: act.decision?.effect ?? null,
    outcome: null,
    rule: act.decision?.rule ?? null,
    stepNo: act.no,
    metadata: {
      tool: act.tool,
      status: act.status,
      attempt: act.attempts,
      ...(act.approvalId === null ? {} : { approval_id: act.approvalId }),
      ...(act.decision === null ? {} : { reason: act.decision.reason }),
    },
    input: act.args,
    output: null,
  });
}

export function actOutcome(state: RunState, act: ActStep, outcome: string, durationMs: number | null): AuditFact {
  return fact(state, {
    action: 'tool_call',
    phase: 'outcome',
    decision: null,
    outcome,
    rule: act.decision?.rule ?? null,
    stepNo: act.no,
    metadata: {
      tool: act.tool,
      attempt: act.attempts,
      ...(durationMs === null ? {} : { duration_ms: durationMs }),
      ...(act.error === null ? {} : { error_code: act.error.code }),
      ...(act.suspicious ? { suspicious: true } : {}),
    },
    input: act.args,
    output: act.result,
  });
}

export function approvalRequest(
  state: RunState,
  approval: NewApproval,
  args: JsonValue,
): AuditFact {
  return fact(state, {
    action: 'approval_request',
    phase: 'event',
    decision: 'require_approval',
    outcome: null,
    rule: approval.rule,
    stepNo: approval.stepNo,
    metadata: {
      approval_id: approval.id,
      kind: approval.kind,
      tool: approval.tool,
      reason: approval.reason,
      approvers: approval.approvers,
      min_approvals: approval.minApprovals,
      ...(approval.escalation.length === 0 ? {} : { escalation: approval.escalation.map((stage) => ({ after_ms: stage.afterMs, approvers: stage.approvers })) }),
      call_hash: approval.callHash,
    },
    input: args,
    output: null,
  });
}

export function approvalExpired(state: RunState, approvalId: string, stepNo: number): AuditFact {
  return fact(state, {
    actor: `node:${state.lease.nodeId}`,
    action: 'approval_grant',
    phase: 'event',
    decision: 'expired',
    outcome: null,
    rule: null,
    stepNo,
    metadata: { approval_id: approvalId },
    input: null,
    output: null,
  });
}

export function runEnded(state: RunState, status: string, detail: JsonObject, output: JsonValue | null): AuditFact {
  return fact(state, { action: 'run_status', phase: 'outcome', decision: null, outcome: status, rule: null, stepNo: null, metadata: detail, input: null, output });
}
