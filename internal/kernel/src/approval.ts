import type { JsonValue } from './json.ts';

/** A timeout is `expired`, never `rejected`; a run that ends first leaves its approvals `cancelled`. */
export type ApprovalStatus = 'pending' | 'approved' | 'rejected' | 'expired' | 'cancelled';

/**
 * `gate`: may this call be made? `uncertain`: the call may already have been made when the
 * node died and cannot be repeated safely; a person says what happened (R4).
 */
export type ApprovalKind = 'gate' | 'uncertain';

export interface Approval {
  readonly id: string;
  readonly tenantId: string;
  readonly runId: string;
  readonly stepNo: number;
  readonly kind: ApprovalKind;
  readonly tool: string;
  readonly args: JsonValue;
  /** What an approver changed the arguments to; checked by the PDP again before it is run. */
  readonly editedArgs: JsonValue | null;
  /** R6: of the call that waits, as the last edit left it; a decision names it. */
  readonly callHash: string;
  readonly rule: string;
  readonly reason: string;
  readonly approvers: readonly string[];
  readonly forbidRequester: boolean;
  /** How many different people must approve the call that waits. */
  readonly minApprovals: number;
  /** How many have, in this round. */
  readonly approvalsGiven: number;
  /** 1 and one more with each edit. Votes of an earlier round were for another call and count no more. */
  readonly round: number;
  /** Oldest first. */
  readonly votes: readonly ApprovalVote[];
  /** Who may decide as well, and from when on; in order of time. */
  readonly escalation: readonly Escalation[];
  readonly requesterId: string;
  readonly policyVersion: string;
  readonly status: ApprovalStatus;
  readonly verdict: ApprovalVerdict | null;
  readonly decidedBy: string | null;
  readonly decidedAt: Date | null;
  readonly comment: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** The store's clock when this was read: what is due is judged by it, never by a node's. */
  readonly readAt: Date;
}

export interface Escalation {
  readonly at: Date;
  readonly approvers: readonly string[];
  /** Its event and audit row are written; the right to decide comes with the time alone. */
  readonly recorded: boolean;
}

/** What one person said. */
export interface ApprovalVote {
  readonly voter: string;
  readonly verdict: ApprovalVerdict;
  readonly round: number;
  /** The call that it is about; of an edit, the edited one. */
  readonly callHash: string;
  readonly comment: string | null;
  readonly at: Date;
}

/** `approve`, `edit` and `reject` answer a gate; `retry`, `mark_done` and `fail` answer an uncertain call. */
export type ApprovalVerdict = 'approve' | 'edit' | 'reject' | 'retry' | 'mark_done' | 'fail';

export const VERDICTS: Readonly<Record<ApprovalKind, readonly ApprovalVerdict[]>> = {
  gate: ['approve', 'edit', 'reject'],
  uncertain: ['retry', 'mark_done', 'fail'],
};

/** Which status a verdict leads to. */
export function statusAfter(verdict: ApprovalVerdict): 'approved' | 'rejected' {
  return verdict === 'reject' || verdict === 'fail' ? 'rejected' : 'approved';
}

/** Verdicts that let a call be made: as many people as the approval wants must give one. Every other verdict decides alone. */
const GRANTING: ReadonlySet<ApprovalVerdict> = new Set(['approve', 'edit', 'retry']);

/** What one more vote comes to. */
export type VoteOutcome =
  | { readonly kind: 'decided'; readonly status: 'approved' | 'rejected'; readonly given: number; readonly round: number }
  | { readonly kind: 'voted'; readonly given: number; readonly missing: number; readonly round: number }
  /** The same person has granted this very call before: it counts once. */
  | { readonly kind: 'repeated'; readonly earlier: ApprovalVote; readonly missing: number };

/**
 * R6 for several approvers. One refusal refuses. A grant counts once for each person and round. An
 * edit begins a round: what was said before was about another call, so only the editor's own grant
 * counts for the edited one.
 */
export function countVote(approval: Pick<Approval, 'minApprovals' | 'approvalsGiven' | 'round' | 'votes'>, vote: { readonly voter: string; readonly verdict: ApprovalVerdict }): VoteOutcome {
  const { minApprovals, approvalsGiven, round } = approval;
  if (!GRANTING.has(vote.verdict)) return { kind: 'decided', status: statusAfter(vote.verdict), given: approvalsGiven, round };
  if (vote.verdict === 'edit') return toOutcome({ given: 1, minApprovals, round: round + 1 });
  const earlier = approval.votes.find((one) => one.round === round && one.voter === vote.voter && GRANTING.has(one.verdict));
  if (earlier !== undefined) return { kind: 'repeated', earlier, missing: minApprovals - approvalsGiven };
  return toOutcome({ given: approvalsGiven + 1, minApprovals, round });
}

function toOutcome({ given, minApprovals, round }: { readonly given: number; readonly minApprovals: number; readonly round: number }): VoteOutcome {
  return given >= minApprovals ? { kind: 'decided', status: 'approved', given, round } : { kind: 'voted', given, missing: minApprovals - given, round };
}

/** The different people who have granted the very call that the approval names now. */
export function grantersOf(approval: Pick<Approval, 'round' | 'votes' | 'callHash'>): readonly string[] {
  return [...new Set(approval.votes.filter((one) => one.round === approval.round && one.callHash === approval.callHash && GRANTING.has(one.verdict)).map((one) => one.voter))];
}

/** Who may decide at this moment: the approvers, and those of each escalation whose time has come. */
export function approversAt(approval: Pick<Approval, 'approvers' | 'escalation'>, at: Date): readonly string[] {
  return [...new Set([...approval.approvers, ...approval.escalation.filter((stage) => stage.at <= at).flatMap((stage) => stage.approvers)])];
}

/** When somebody must look at a pending approval again: at its next escalation, or when its time is up. */
export function nextLookAt(approval: Pick<Approval, 'escalation' | 'expiresAt'>): Date {
  return approval.escalation.find((stage) => !stage.recorded)?.at ?? approval.expiresAt;
}
