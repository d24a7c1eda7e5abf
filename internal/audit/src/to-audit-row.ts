import type { AuditFact, Clock, Ids } from '@openeaap/kernel';
import type { Masker, Sanitized } from '@openeaap/security';

/** A row of `audit_logs` before it is chained: every text in it that could hold PII is `Sanitized` (R10). */
export interface MaskedAuditRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly run_id: string | null;
  readonly trace_id: string;
  readonly actor: Sanitized;
  readonly action_type: string;
  readonly phase: string;
  readonly decision: string | null;
  readonly outcome: string | null;
  readonly rule: string | null;
  readonly step_no: number | null;
  readonly metadata: Sanitized;
  readonly sanitized_input: Sanitized | null;
  readonly sanitized_output: Sanitized | null;
  readonly created_at: string;
}

/**
 * Masks a fact into a row. The policy's own rules come first and the built-in recognisers after
 * them, so that the audit hides what no policy has thought of. `masker` is asked for at each row:
 * a reloaded policy counts from then on.
 */
export function createToAuditRow(deps: { readonly masker: () => Masker; readonly clock: Clock; readonly ids: Ids }): (fact: AuditFact) => MaskedAuditRow {
  // Under load many rows are made in each millisecond.
  let last = { ms: Number.NaN, text: '' };
  const nowText = (): string => {
    const now = deps.clock.now();
    if (now.getTime() !== last.ms) last = { ms: now.getTime(), text: toMicroseconds(now) };
    return last.text;
  };
  return (fact) => {
    const masker = deps.masker();
    return {
      id: deps.ids.newId(),
      tenant_id: fact.tenantId,
      run_id: fact.runId,
      trace_id: fact.traceId,
      actor: masker.sanitize(fact.actor),
      action_type: fact.action,
      phase: fact.phase,
      decision: fact.decision,
      outcome: fact.outcome,
      rule: fact.rule,
      step_no: fact.stepNo,
      metadata: masker.sanitizeJson(fact.metadata),
      sanitized_input: fact.input === null ? null : masker.sanitizeJson(fact.input),
      sanitized_output: fact.output === null ? null : masker.sanitizeJson(fact.output),
      created_at: nowText(),
    };
  };
}

/** What is hashed must be what PostgreSQL gives back: six digits of a second, UTC. */
export const toMicroseconds = (time: Date): string => time.toISOString().replace(/Z$/, '000Z');
