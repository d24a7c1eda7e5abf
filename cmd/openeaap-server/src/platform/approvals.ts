import type { Approval } from '@openeaap/kernel';
import { PlatformError, matchesSubject } from '@openeaap/kernel';
import type { Caller, PlatformPort } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import { decideApproval } from '@openeaap/orchestrator';
import { getApproval, listApprovals } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { announceDue } from './context.ts';
import { pageById } from './page.ts';

export function createApprovalPort(context: PlatformContext): Pick<PlatformPort, 'listApprovals' | 'getApproval' | 'decideApproval'> {
  const { pool } = context;
  return {
    listApprovals: async (caller, filter, page) => {
      const { tenantId } = caller.principal;
      const found = await pageById<Approval>(
        page,
        (approval) => approval.id,
        ({ before, limit }) => listApprovals(pool, { tenantId, status: filter.status ?? undefined, runId: filter.runId ?? undefined, before, limit }),
      );
      return { ...found, items: found.items.filter((approval) => maySee(caller, approval)) };
    },
    getApproval: (caller, approvalId) => visibleApproval(context, caller, approvalId),
    decideApproval: async (caller, approvalId, request) => {
      await visibleApproval(context, caller, approvalId);
      const comment = request.comment === null ? null : context.policy.maskText(request.comment);
      const decided = await decideApproval({ ...request, comment, tenantId: caller.principal.tenantId, approvalId, decider: caller.principal }, context.deps);
      context.hub.committed(decided.runId);
      if (decided.status !== 'pending') announceDue(context);
      return decided;
    },
  };
}

async function visibleApproval(context: PlatformContext, caller: Caller, approvalId: string): Promise<Approval> {
  const approval = await getApproval(context.pool, caller.principal.tenantId, approvalId);
  if (approval === null || !maySee(caller, approval)) throw new PlatformError('not_found', 'There is no such approval.', { details: { approval_id: approvalId } });
  return approval;
}

/** Its approvers, also those of an escalation that is still to come, its requester, and who acts for others. */
const maySee = (caller: Caller, approval: Approval): boolean =>
  actsForOthers(caller) ||
  approval.requesterId === caller.principal.userId ||
  matchesSubject(caller.principal, [approval.approvers, ...approval.escalation.map((stage) => stage.approvers)].flat());
