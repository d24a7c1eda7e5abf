import type { JsonObject, JsonValue } from './json.ts';

/** The first three are the document's (section 15.1). */
export type AuditAction =
  | 'tool_call'
  | 'llm_invoke'
  | 'model_egress'
  | 'approval_grant'
  | 'approval_request'
  | 'approval_vote'
  | 'approval_escalation'
  | 'run_status'
  | 'agent_change'
  | 'policy_change'
  | 'plugin_change'
  /** A virtual key for models was made, changed or revoked. */
  | 'model_key_change'
  | 'trigger'
  | 'schedule_change'
  | 'schedule_fire'
  | 'feedback'
  | 'run_archive';

/**
 * Something that must be provable later, before it is masked. `phase` keeps apart what was
 * decided and meant (`intent`) from what came of it (`outcome`): both have a row (R10).
 */
export interface AuditFact {
  readonly tenantId: string;
  readonly runId: string | null;
  readonly traceId: string;
  /** Who caused it: a user id, or `node:<id>`. */
  readonly actor: string;
  readonly action: AuditAction;
  readonly phase: 'intent' | 'outcome' | 'event';
  /** What the PDP or the approver decided: `allow`, `deny`, `require_approval`, `approved`, … */
  readonly decision: string | null;
  /** What came of it: `ok`, `error`, `unknown`, `not_executed` … never set on an intent. */
  readonly outcome: string | null;
  readonly rule: string | null;
  readonly stepNo: number | null;
  /** Durations, token counts, names, hashes. Masked like the rest. */
  readonly metadata: JsonObject;
  readonly input: JsonValue | null;
  readonly output: JsonValue | null;
}
