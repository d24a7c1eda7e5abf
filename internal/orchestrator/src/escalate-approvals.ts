import type { Approval, AuditFact, NewRunEvent, Run } from '@openeaap/kernel';
import type { RunStore } from './port.ts';

/**
 * Writes down each escalation whose time has come: an event, so that the next group hears of it, and an
 * audit row. The right to decide does not wait for this; the store gives it by its own clock. A run is
 * woken for it (`wake_at`), so it is written even if no node was up at that moment, and once.
 *
 * @returns whether anything was due, so that the approvals must be read again.
 */
export async function escalateApprovals(
  run: Pick<Run, 'tenantId' | 'id' | 'traceId'>,
  approvals: readonly Approval[],
  deps: { readonly store: Pick<RunStore, 'escalateApproval'>; readonly nodeId: string },
): Promise<boolean> {
  const due = approvals.flatMap((approval) => dueStages(approval).map((stage) => ({ approval, stage })));
  for (const { approval, stage } of due) {
    const record = { event: toEvent(approval, stage), audit: [toFact(run, approval, stage, deps.nodeId)] };
    await deps.store.escalateApproval({ tenantId: run.tenantId, approvalId: approval.id, stage }, record);
  }
  return due.length > 0;
}

/**
 * The same for runs that are under way: while one call waits for a person, another may take minutes, and the run
 * does not look at its approvals before that is over.
 */
export async function escalateOwned(deps: { readonly store: Pick<RunStore, 'listDueEscalations' | 'escalateApproval'>; readonly nodeId: string }): Promise<void> {
  for (const { traceId, approval } of await deps.store.listDueEscalations(deps.nodeId)) {
    await escalateApprovals({ tenantId: approval.tenantId, id: approval.runId, traceId }, [approval], deps);
  }
}

/** Numbers from 1. By the clock of the store, as of when the approval was read. */
function dueStages(approval: Approval): readonly number[] {
  if (approval.status !== 'pending') return [];
  return approval.escalation.flatMap((stage, index) => (!stage.recorded && stage.at <= approval.readAt ? [index + 1] : []));
}

function toEvent(approval: Approval, stage: number): NewRunEvent {
  return {
    type: 'approval_escalated',
    data: {
      approval_id: approval.id,
      step: approval.stepNo,
      tool: approval.tool,
      stage,
      approvers: approval.escalation[stage - 1]?.approvers ?? [],
      due_at: approval.escalation[stage - 1]?.at.toISOString() ?? null,
      expires_at: approval.expiresAt.toISOString(),
    },
  };
}

function toFact(run: Pick<Run, 'tenantId' | 'id' | 'traceId'>, approval: Approval, stage: number, nodeId: string): AuditFact {
  return {
    tenantId: run.tenantId,
    runId: run.id,
    traceId: run.traceId,
    actor: `node:${nodeId}`,
    action: 'approval_escalation',
    phase: 'event',
    decision: 'escalated',
    outcome: null,
    rule: approval.rule,
    stepNo: approval.stepNo,
    metadata: {
      approval_id: approval.id,
      tool: approval.tool,
      stage,
      approvers: approval.escalation[stage - 1]?.approvers ?? [],
      due_at: approval.escalation[stage - 1]?.at.toISOString() ?? null,
      call_hash: approval.callHash,
      policy_version: approval.policyVersion,
    },
    input: null,
    output: null,
  };
}
