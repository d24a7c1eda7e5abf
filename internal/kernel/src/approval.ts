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
  /** What the approver changed the arguments to; checked by the PDP again before it is run. */
  readonly editedArgs: JsonValue | null;
  /** R6: the decision must name it. */
  readonly callHash: string;
  readonly rule: string;
  readonly reason: string;
  readonly approvers: readonly string[];
  readonly forbidRequester: boolean;
  readonly requesterId: string;
  readonly policyVersion: string;
  readonly status: ApprovalStatus;
  readonly verdict: ApprovalVerdict | null;
  readonly decidedBy: string | null;
  readonly decidedAt: Date | null;
  readonly comment: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
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
