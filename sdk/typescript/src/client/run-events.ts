import type { ActStatus, JsonValue, PauseReason } from '@openeaap/kernel';
import { ApiError } from './api-error.ts';

/**
 * What a stream brings. Stored events have a `seq` and are replayed; a `step_delta` has none: it is a preview.
 * Data may gain fields, and new types may come: leave a default branch.
 */
export type StreamEvent = StoredEvent | DeltaEvent;

/** Text as the model writes it; never stored. */
export interface DeltaEvent {
  readonly type: 'step_delta';
  readonly seq: null;
  readonly data: { readonly step_no: number; readonly text: string };
}

/** Discriminated by `type`. */
export type StoredEvent = { [T in keyof EventData]: { readonly type: T; readonly seq: number; readonly data: EventData[T] } }[keyof EventData];

type Fault = { readonly code: string; readonly message: string; readonly fallback_text?: string };
type Report = { readonly done: readonly StepName[]; readonly uncertain: readonly StepName[] };
type StepName = { readonly step: number; readonly tool: string };

/** `data` of each type of event that is stored. */
export interface EventData {
  readonly run_created: { readonly run_id: string; readonly status: 'pending'; readonly agent: string; readonly agent_version: string; readonly user_id: string; readonly source: string; readonly trace_id: string; readonly start_at?: string };
  readonly run_started: { readonly run_id: string; readonly status: 'running'; readonly trace_id: string; readonly agent: string; readonly agent_version: string; readonly policy_version: string };
  readonly run_resumed: { readonly run_id: string; readonly status: 'running'; readonly trace_id: string; readonly reason?: string };
  readonly run_paused: { readonly run_id: string; readonly status: 'paused'; readonly reason: PauseReason; readonly wake_at: string | null };
  readonly run_completed: { readonly run_id: string; readonly status: 'completed'; readonly output: JsonValue; readonly steps: number };
  readonly run_failed: { readonly run_id: string; readonly status: 'failed'; readonly error: Fault } & Report;
  readonly run_cancelled: { readonly run_id: string; readonly status: 'cancelled'; readonly by: string | null; readonly reason: string | null } & Report;
  readonly step_thought: { readonly content: string; readonly step: number };
  readonly model_call: { readonly step: number; readonly model: string; readonly prompt_tokens: number; readonly completion_tokens: number; readonly cost_usd: number; readonly latency_ms: number; readonly error?: Fault };
  readonly policy_decision: { readonly step: number; readonly kind: 'think' | 'act'; readonly effect: 'allow' | 'deny' | 'require_approval'; readonly rule: string; readonly reason: string; readonly policy_version: string; readonly tool?: string; readonly granted?: true };
  readonly tool_call: { readonly tool: string; readonly input: JsonValue; readonly step: number; readonly attempt?: number };
  readonly tool_result: { readonly tool: string; readonly step: number; readonly status: ActStatus; readonly output: JsonValue; readonly error?: Fault };
  /** `approval_id` is null when the policy denied the call: there is nothing to decide. */
  readonly governance_intervention: {
    readonly reason: string;
    readonly approval_id: string | null;
    readonly tool: string;
    readonly input: JsonValue;
    readonly step: number;
    readonly rule: string;
    readonly effect?: 'deny';
    readonly kind?: 'gate' | 'uncertain';
    readonly approvers?: readonly string[];
    readonly min_approvals?: number;
    readonly escalation?: readonly { readonly after_ms: number; readonly approvers: readonly string[] }[];
    readonly call_hash?: string;
  };
  readonly knowledge_retrieved: { readonly step: number; readonly chunks: readonly { readonly chunk_id: string; readonly title: string; readonly source: string; readonly score: number }[] };
  readonly approval_voted: { readonly approval_id: string; readonly verdict: string; readonly voted_by: string; readonly approvals_given: number; readonly approvals_needed: number; readonly approvals_missing: number; readonly call_hash: string; readonly step: number; readonly tool: string; readonly comment?: string; readonly edited_input?: JsonValue };
  readonly approval_decided: { readonly approval_id: string; readonly status: string; readonly verdict?: string; readonly decided_by?: string; readonly step: number; readonly tool: string; readonly comment?: string; readonly edited_input?: JsonValue };
  readonly approval_escalated: { readonly approval_id: string; readonly step: number; readonly tool: string; readonly stage: number; readonly approvers: readonly string[]; readonly due_at: string | null; readonly expires_at: string };
  readonly feedback_received: { readonly feedback_id: string; readonly score: number; readonly category: string | null };
}

/** A stored event as a list has it. */
export type ListedEvent = StoredEvent & { readonly at: string };

const FINAL: ReadonlySet<string> = new Set(['run_completed', 'run_failed', 'run_cancelled']);

/** The run has ended with it; only `feedback_received` may follow. */
export const isFinal = (event: { readonly type: string }): boolean => FINAL.has(event.type);

/** One message of the stream; null: not an event of a run. Errors: ApiError `bad_response`. */
export function toStreamEvent(message: { readonly id?: string | undefined; readonly event?: string | undefined; readonly data: string }): StreamEvent | null {
  if (message.event === undefined) return null;
  const seq = message.id === undefined ? null : Number(message.id);
  try {
    return { type: message.event, seq, data: JSON.parse(message.data) as unknown } as StreamEvent;
  } catch (thrown) {
    throw new ApiError('bad_response', `The data of an event ${message.event.slice(0, 80)} is not JSON.`, { cause: thrown });
  }
}
