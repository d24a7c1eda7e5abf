import type { ActStatus, AgentStatus, ErrorCode, JsonObject, JsonValue, PauseReason, Priority, ReasoningMode, RunStatus, ToolEffect } from '@openeaap/kernel';

/** What the API answers (api/openapi/openapi.json). Answers may gain fields. Times are RFC 3339 in UTC. */
export interface Page<T> {
  readonly items: readonly T[];
  /** null: the last page. */
  readonly next_cursor: string | null;
}

export interface RunCreated {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly trace_id: string;
  readonly agent_id: string;
  readonly agent_version: string;
  readonly start_at: string | null;
  readonly created_at: string;
  /** The idempotency key was seen before with the same request; this is that run. */
  readonly replayed: boolean;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost_usd: number;
}

export interface Lineage {
  readonly chunk_id: string;
  readonly title: string;
  readonly source: string;
  readonly score: number;
}

export interface Run {
  readonly run_id: string;
  readonly agent_id: string;
  readonly agent_name: string;
  readonly agent_version: string;
  readonly policy_version: string;
  readonly user_id: string;
  readonly trace_id: string;
  readonly status: RunStatus;
  readonly priority: Priority;
  readonly pause_reason: PauseReason | null;
  readonly input: JsonValue;
  /** null until completed. */
  readonly output: JsonValue;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly fallback_text?: string } | null;
  readonly source: string;
  readonly step_count: number;
  readonly last_seq: number;
  readonly usage: Usage;
  readonly lineage: readonly Lineage[];
  readonly pending_approvals: readonly string[];
  readonly start_at: string | null;
  readonly cancel_requested_at: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

export interface Decision {
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly rule: string;
  readonly reason: string;
  readonly policy_version: string;
  readonly constraints?: { readonly blocked_tools: readonly string[]; readonly dry_run: boolean; readonly max_tokens: number };
  readonly approval?: JsonObject;
}

interface StepBase {
  readonly no: number;
  readonly policy_version: string;
  readonly agent_version: string;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

export type Step = ThinkStep | ActStep;

export interface ThinkStep extends StepBase {
  readonly kind: 'think';
  readonly status: 'done' | 'failed';
  readonly thought: string | null;
  readonly calls: readonly { readonly id: string; readonly tool: string; readonly args: JsonValue; readonly malformed?: string }[];
  readonly output: JsonValue;
  readonly usage: Usage;
  readonly model: string;
  readonly decision: Decision;
  /** A claim of the runtime, not proof. */
  readonly reported_by_runtime: readonly JsonValue[];
}

export interface ActStep extends StepBase {
  readonly kind: 'act';
  readonly think_no: number;
  readonly call_id: string;
  readonly tool: string;
  readonly args: JsonValue;
  readonly status: ActStatus;
  readonly decision: Decision | null;
  readonly approval_id: string | null;
  readonly result: JsonValue;
  readonly suspicious: boolean;
  readonly attempts: number;
  readonly lineage: readonly Lineage[];
}

export type Verdict = 'approve' | 'edit' | 'reject' | 'retry' | 'mark_done' | 'fail';

export interface Approval {
  readonly approval_id: string;
  readonly run_id: string;
  readonly step_no: number;
  readonly kind: 'gate' | 'uncertain';
  readonly tool: string;
  readonly args: JsonValue;
  readonly edited_args: JsonValue;
  /** Send it with the decision to be sure that it is about this call. */
  readonly call_hash: string;
  readonly rule: string;
  readonly reason: string;
  readonly approvers: readonly string[];
  readonly approvers_now: readonly string[];
  readonly forbid_requester: boolean;
  readonly min_approvals: number;
  readonly approvals_given: number;
  readonly votes: readonly { readonly voter: string; readonly verdict: Verdict; readonly call_hash: string; readonly counts: boolean; readonly comment: string | null; readonly at: string }[];
  readonly escalation: readonly { readonly at: string; readonly approvers: readonly string[]; readonly escalated: boolean }[];
  readonly requester: string;
  readonly policy_version: string;
  readonly status: 'pending' | 'approved' | 'rejected' | 'expired' | 'cancelled';
  readonly verdict: Verdict | null;
  readonly decided_by: string | null;
  readonly decided_at: string | null;
  readonly comment: string | null;
  readonly created_at: string;
  readonly expires_at: string;
  readonly allowed_verdicts: readonly Verdict[];
}

export interface AgentModel {
  readonly name: string;
  readonly temperature: number;
  readonly max_tokens: number;
  readonly tool_calling: 'native' | 'text';
  readonly allowed?: readonly string[];
}

export interface AgentConfiguration {
  readonly description: string;
  readonly runtime: string;
  readonly entrypoint: string;
  readonly settings: JsonObject;
  readonly reasoning: ReasoningMode;
  readonly system_prompt: string;
  readonly tools: readonly string[];
  readonly model: AgentModel;
  readonly max_steps: number;
  readonly think_timeout_ms: number;
  readonly dry_run: boolean;
  readonly fallback_text: string;
}

export interface Agent {
  readonly agent_id: string;
  readonly name: string;
  readonly version: string;
  readonly status: AgentStatus;
  readonly configuration: AgentConfiguration;
  /** What the bare name means. */
  readonly current: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface ToolInfo {
  readonly name: string;
  readonly version: string;
  readonly plugin: string;
  readonly description: string;
  readonly input_schema: JsonValue;
  readonly effect: ToolEffect;
  readonly idempotent: boolean;
  readonly timeout_ms: number;
  readonly untrusted_output: boolean;
}

export interface PluginInfo {
  readonly name: string;
  readonly version: string;
  readonly kind: 'runtime' | 'tools';
  /** ready, degraded, starting, sick, incompatible, refused, conflict or down. */
  readonly status: string;
  readonly detail: string;
  readonly source: 'built-in' | 'file' | 'api';
  readonly sdk: string;
  readonly copies: { readonly ready: number; readonly wanted: number; readonly restarts: number };
  readonly tools: readonly string[];
  readonly agents: readonly string[];
  readonly warnings: readonly string[];
}
