import type { AuditFact } from './audit.ts';
import type { ApprovalDemand } from './decision.ts';
import type { Agent } from './agent.ts';
import type { Approval, ApprovalKind, ApprovalStatus, ApprovalVerdict } from './approval.ts';
import type { TokenUsage } from './chat.ts';
import type { NewRunEvent } from './event.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Principal } from './principal.ts';
import type { Priority } from './priority.ts';
import type { Lease, PauseReason, Run, RunError } from './run.ts';
import type { Step } from './step.ts';

/**
 * One transition of a running run, written in one transaction or not at all (R3) and only by
 * the owner of the lease (R2). Each commit holds the outcome of what was just done *and* the
 * decided intent of what comes next, so that intent before effect (R4) costs no commit of its own.
 */
export interface RunCommit {
  readonly lease: Lease;
  /**
   * How many commits the run has had. A commit whose answer was lost is sent again with the same
   * number: the store sees that it is there already and does not write it twice.
   */
  readonly commitNo: number;
  /**
   * When set, the commit holds only if nobody has sent the run a signal (a decision, a
   * cancellation) since this number was read. Pausing and ending need it: a signal must
   * never fall between the last look and the end.
   */
  readonly expectSignalNo: number | null;
  /** null: the run stays `running`. */
  readonly to: RunEnd | null;
  /** New steps, and old ones with their new state. */
  readonly steps: readonly Step[];
  /** The journal before this commit: what of a step is the same as in it is not sent again. */
  readonly journal: readonly Step[];
  readonly events: readonly NewRunEvent[];
  readonly audit: readonly AuditFact[];
  readonly openApprovals: readonly NewApproval[];
  readonly expireApprovals: readonly string[];
  readonly usage: readonly UsageEntry[];
  readonly settlements: readonly QuotaSettlement[];
}

/** What a reservation turned out to be too much (negative) or too little. */
export interface QuotaSettlement {
  readonly counter: string;
  readonly delta: number;
}

export type RunEnd =
  | { readonly status: 'paused'; readonly reason: PauseReason; /** When to look again unasked; null: never. */ readonly wakeAt: Date | null }
  | { readonly status: 'completed'; readonly output: JsonValue }
  | { readonly status: 'failed'; readonly error: RunError }
  | { readonly status: 'cancelled'; readonly error: RunError };

export interface NewApproval extends ApprovalDemand {
  readonly id: string;
  readonly stepNo: number;
  readonly kind: ApprovalKind;
  readonly tool: string;
  readonly args: JsonValue;
  readonly callHash: string;
  readonly rule: string;
  readonly reason: string;
  readonly requesterId: string;
  readonly policyVersion: string;
}

/** Tokens that one think used, as the gateway metered them. */
export interface UsageEntry {
  readonly stepNo: number;
  readonly backend: string;
  readonly usage: TokenUsage;
}

/** `signalled`: a decision or a cancellation came first; read again and go on. `fenced`: not the owner any more. */
export type CommitResult =
  | { readonly kind: 'committed'; readonly lastSeq: number; readonly signalNo: number }
  | { readonly kind: 'signalled' }
  | { readonly kind: 'fenced' };

/** A run that this node has just taken over, with all it needs to go on (R2). */
export interface ClaimedRun {
  readonly run: Run;
  readonly lease: Lease;
  readonly commitNo: number;
  readonly signalNo: number;
  readonly rootSpanId: string;
  readonly agent: Agent;
}

/** What a signal may have changed since it was last read. */
export interface RunSignals {
  readonly signalNo: number;
  readonly cancelRequestedBy: string | null;
  readonly cancelReason: string | null;
  readonly approvals: readonly Approval[];
}

/** A run to be accepted. */
export interface NewRun {
  readonly tenantId: string;
  readonly id: string;
  readonly agentId: string;
  readonly agentName: string;
  readonly agentVersion: string;
  readonly policyVersion: string;
  readonly principal: Principal;
  readonly traceId: string;
  /** W3C span id of the root span, so that a later node's spans join the same trace. */
  readonly rootSpanId: string;
  readonly idempotencyKey: string | null;
  /** SHA-256 of the request: the same key with another hash is another request (R1). */
  readonly requestHash: string;
  readonly priority: Priority;
  readonly input: JsonValue;
  readonly source: string;
  /** null: due at once. */
  readonly startAt: Date | null;
  readonly events: readonly NewRunEvent[];
}

/** What a person decided about an approval. */
export interface ApprovalDecision {
  readonly tenantId: string;
  readonly approvalId: string;
  readonly verdict: ApprovalVerdict;
  /** The hash of the call that the person saw; null when the client did not say. */
  readonly callHash: string | null;
  readonly editedArgs: JsonObject | null;
  readonly comment: string | null;
  readonly decider: Principal;
}

/**
 * A vote as it has been counted. It holds only while nobody has voted since `seen` was read: whoever
 * comes in between changes the count, and the vote is counted anew.
 */
export interface CountedVote {
  readonly tenantId: string;
  readonly approvalId: string;
  readonly verdict: ApprovalVerdict;
  readonly voter: string;
  /** All names that mean the voter; the store judges by its own clock whether they may decide. */
  readonly subjects: readonly string[];
  readonly comment: string | null;
  readonly seen: { readonly callHash: string; readonly given: number; readonly round: number };
  /** What it leads to. `callHash` is that of the call that the vote is about: of an edit, the edited one. */
  readonly status: ApprovalStatus;
  readonly given: number;
  readonly round: number;
  readonly callHash: string;
  readonly editedArgs: JsonObject | null;
}
