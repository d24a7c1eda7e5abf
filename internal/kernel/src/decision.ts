import type { JsonValue } from './json.ts';
import type { Principal } from './principal.ts';
import type { ToolEffect } from './tool.ts';

/** What the PDP pushes into every runtime (document section 11.1). */
export interface GovernanceConstraints {
  readonly blockedTools: readonly string[];
  readonly dryRun: boolean;
  /** Most completion tokens for this think; 0: no limit of the policy's. */
  readonly maxTokens: number;
}

export const NO_CONSTRAINTS: GovernanceConstraints = { blockedTools: [], dryRun: false, maxTokens: 0 };

/** How a gate wants to be opened. */
export interface ApprovalDemand {
  /** `group:NAME` or `user:ID`. */
  readonly approvers: readonly string[];
  readonly timeoutMs: number;
  /** The requester must not be the approver. */
  readonly forbidRequester: boolean;
  /** How many different people must approve. */
  readonly minApprovals: number;
  /** Who may decide as well when nobody has for a while; in order of time, each before the timeout. */
  readonly escalation: readonly EscalationStage[];
}

export interface EscalationStage {
  /** Counted from the opening of the approval. */
  readonly afterMs: number;
  readonly approvers: readonly string[];
}

/** A counter that must be taken from before the thing is done; taken atomically by the store. */
export interface QuotaReservation {
  /** Name of the quota rule. */
  readonly quota: string;
  /** The counter, e.g. `user:alice/tokens/2026-11-22`. */
  readonly counter: string;
  readonly unit: 'tokens' | 'calls';
  /** Tokens are reserved as the most that may be used and settled to what was. */
  readonly amount: number;
  readonly limit: number;
  /** When the counter can be forgotten. */
  readonly expiresAt: Date;
}

/** The PDP's answer. Anything that is not one of these three is a denial (R9). */
export type Decision = DecisionBase &
  (
    | { readonly effect: 'allow'; readonly constraints: GovernanceConstraints; readonly reservations: readonly QuotaReservation[] }
    | { readonly effect: 'deny' }
    | { readonly effect: 'require_approval'; readonly approval: ApprovalDemand; readonly reservations: readonly QuotaReservation[] }
  );

interface DecisionBase {
  /** The rule that decided, e.g. `approval_gates[0]`, `rbac.soc-analyst`, `default`. */
  readonly rule: string;
  /** Safe to show to users. */
  readonly reason: string;
  readonly policyVersion: string;
}

export interface DecisionRequestBase {
  readonly principal: Principal;
  readonly agent: { readonly id: string; readonly name: string; readonly version: string };
  readonly run: {
    readonly id: string;
    readonly stepNo: number;
    /** Prompt and completion tokens that the run has used so far. */
    readonly tokensUsed: number;
  };
  readonly taint: Taint;
  readonly now: Date;
}

/** What the run has read so far. */
export interface Taint {
  /** It has read the output of a tool that is marked untrusted. */
  readonly untrusted: boolean;
  /** Something it read looked like an attempt to give it instructions. */
  readonly injection: boolean;
}

/** Asked before every think and every act: one choke point (R9). */
export type DecisionRequest = DecisionRequestBase &
  (
    | { readonly kind: 'think'; readonly maxTokens: number }
    | {
        readonly kind: 'act';
        readonly tool: { readonly name: string; readonly version: string; readonly effect: ToolEffect };
        readonly input: JsonValue;
      }
  );
