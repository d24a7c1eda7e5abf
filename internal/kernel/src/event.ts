import type { JsonObject } from './json.ts';

/** Events of a run that are stored and replayed (R8). The first six are the document's (section 16.1). */
export const RUN_EVENT_TYPES = [
  'run_started',
  'step_thought',
  'tool_call',
  'tool_result',
  'governance_intervention',
  'run_completed',
  'run_created',
  'policy_decision',
  'model_call',
  'knowledge_retrieved',
  'approval_decided',
  'approval_voted',
  'approval_escalated',
  'run_paused',
  'run_resumed',
  'run_failed',
  'run_cancelled',
  'feedback_received',
] as const;

export type RunEventType = (typeof RUN_EVENT_TYPES)[number];

/** What happened, before it has a number. `data` is public JSON, snake_case. */
export interface NewRunEvent {
  readonly type: RunEventType;
  readonly data: JsonObject;
}

export interface RunEvent extends NewRunEvent {
  readonly runId: string;
  /** 1, 2, 3 … without a gap; the `id:` of the SSE stream. */
  readonly seq: number;
  readonly at: Date;
}

/** A piece of text as the model writes it: shown, never stored. */
export interface StepDelta {
  readonly runId: string;
  readonly stepNo: number;
  readonly text: string;
}

/** `feedback_received` may follow the end; every other event comes before it. */
export const FINAL_EVENTS: ReadonlySet<RunEventType> = new Set(['run_completed', 'run_failed', 'run_cancelled']);
