import type { Approval, ApprovalDecision, AuditFact, JsonObject, NewRunEvent } from '@openeaap/kernel';
import { PlatformError, VERDICTS, hashCall, matchesSubject, statusAfter } from '@openeaap/kernel';
import { evaluatePolicy } from './ask-policy.ts';
import type { DriveDeps } from './deps.ts';
import { taintOf } from './taint.ts';
import { toStorable } from './to-storable.ts';

type DecideDeps = Pick<DriveDeps, 'store' | 'policy' | 'tools' | 'clock' | 'log'>;

/**
 * R6: one decision about one call. What may be checked without the database is checked first, so
 * that the answer says what is wrong; the compare-and-set in the store is what holds.
 *
 * Errors: not_found, invalid_input, permission_denied, already_decided, hash_mismatch, conflict
 * (expired or the run has ended), policy_denied (the PDP denies the edited call; the approval stays open).
 */
export async function decideApproval(given: ApprovalDecision, deps: DecideDeps): Promise<Approval> {
  const decision: ApprovalDecision = { ...given, editedArgs: toStorable(given.editedArgs) };
  const approval = await deps.store.getApproval(decision.tenantId, decision.approvalId);
  if (approval === null) throw new PlatformError('not_found', 'There is no such approval.');
  checkVerdict(decision, approval);
  checkApprover(decision, approval);
  checkOpen(approval, deps.clock.now());
  if (decision.callHash !== null && decision.callHash !== approval.callHash) {
    throw new PlatformError('hash_mismatch', 'This decision is about another call than the one that waits. Read the approval again.', { details: { expected: approval.callHash } });
  }
  if (decision.verdict === 'edit') await checkEdit(decision, approval, deps);
  const decided = await deps.store.decideApproval({ ...decision, callHash: approval.callHash }, { event: toEvent(decision, approval), audit: [await toFact(decision, approval, deps)] });
  if (decided !== null) return decided;
  return explainLoss(decision, deps);
}

function checkVerdict(decision: ApprovalDecision, approval: Approval): void {
  const allowed = VERDICTS[approval.kind];
  if (!allowed.includes(decision.verdict)) {
    throw new PlatformError('invalid_input', `This approval takes ${allowed.join(', ')}, not ${decision.verdict}.`, { details: { field: 'verdict', allowed } });
  }
  if (decision.verdict === 'edit' && decision.editedArgs === null) {
    throw new PlatformError('invalid_input', 'An edit needs the new arguments in "args".', { details: { field: 'args' } });
  }
  if (decision.verdict !== 'edit' && decision.editedArgs !== null) {
    throw new PlatformError('invalid_input', 'Arguments can be given with an edit only.', { details: { field: 'args' } });
  }
  if (decision.verdict === 'reject' && (decision.comment ?? '').trim() === '') {
    throw new PlatformError('invalid_input', 'A rejection needs a reason in "comment": it is told to the agent and kept.', { details: { field: 'comment' } });
  }
}

function checkApprover(decision: ApprovalDecision, approval: Approval): void {
  if (!matchesSubject(decision.decider, approval.approvers)) {
    throw new PlatformError('permission_denied', `Only ${approval.approvers.join(', ')} may decide this.`, { details: { approvers: approval.approvers } });
  }
  if (approval.forbidRequester && decision.decider.userId === approval.requesterId) {
    throw new PlatformError('permission_denied', 'The policy does not let the requester decide about the own request.', { details: { requester: approval.requesterId } });
  }
}

function checkOpen(approval: Approval, now: Date): void {
  if (approval.status === 'pending' && approval.expiresAt > now) return;
  if (approval.status === 'approved' || approval.status === 'rejected') throw alreadyDecided(approval);
  const status = approval.status === 'pending' ? 'expired' : approval.status;
  throw new PlatformError('conflict', `The approval is ${status}; it can be decided no more.`, { details: { status } });
}

const alreadyDecided = (approval: Approval): PlatformError =>
  new PlatformError('already_decided', `${approval.decidedBy ?? 'Somebody'} has already ${approval.status} this.`, {
    details: { status: approval.status, decided_by: approval.decidedBy ?? '', decided_at: approval.decidedAt?.toISOString() ?? '' },
  });

/** The edited call must be one that the tool takes and the policy allows this approver to grant. */
async function checkEdit(decision: ApprovalDecision, approval: Approval, deps: DecideDeps): Promise<void> {
  const args = decision.editedArgs ?? {};
  const mistake = deps.tools.validate(approval.tool, args);
  if (mistake !== null) throw new PlatformError('invalid_input', mistake, { details: { field: 'args' } });
  const run = await deps.store.getRun(decision.tenantId, approval.runId);
  const policy = run === null ? null : await deps.policy.load(run.tenantId, run.policyVersion);
  const spec = deps.tools.find(approval.tool);
  if (run === null || policy === null || spec === null) throw new PlatformError('conflict', 'The run, its policy or the tool is gone; the call cannot be edited.');
  const steps = await deps.store.readSteps(decision.tenantId, approval.runId);
  const answer = evaluatePolicy(policy, run.policyVersion, {
    kind: 'act',
    principal: run.principal,
    agent: { id: run.agentId, name: run.agentName, version: run.agentVersion },
    run: { id: run.id, stepNo: approval.stepNo, tokensUsed: run.usage.promptTokens + run.usage.completionTokens },
    taint: taintOf({ steps }, deps.tools),
    now: deps.clock.now(),
    tool: { name: spec.name, version: spec.version, effect: spec.effect },
    input: args,
  });
  if (answer.effect === 'deny') {
    throw new PlatformError('policy_denied', `The policy denies the edited call: ${answer.reason}`, { details: { rule: answer.rule } });
  }
  if (answer.effect === 'require_approval' && !matchesSubject(decision.decider, answer.approval.approvers)) {
    throw new PlatformError('permission_denied', `The edited call needs ${answer.approval.approvers.join(', ')}.`, { details: { approvers: answer.approval.approvers, rule: answer.rule } });
  }
  if (answer.effect === 'require_approval' && answer.approval.forbidRequester && decision.decider.userId === approval.requesterId) {
    throw new PlatformError('permission_denied', 'The policy does not let the requester grant the edited call.', { details: { requester: approval.requesterId, rule: answer.rule } });
  }
}

function toEvent(decision: ApprovalDecision, approval: Approval): NewRunEvent {
  return {
    type: 'approval_decided',
    data: {
      approval_id: approval.id,
      status: statusAfter(decision.verdict),
      verdict: decision.verdict,
      decided_by: decision.decider.userId,
      step: approval.stepNo,
      tool: approval.tool,
      ...(decision.comment === null ? {} : { comment: decision.comment }),
      ...(decision.editedArgs === null ? {} : { edited_input: decision.editedArgs }),
    },
  };
}

async function toFact(decision: ApprovalDecision, approval: Approval, deps: DecideDeps): Promise<AuditFact> {
  const run = await deps.store.getRun(decision.tenantId, approval.runId);
  const edited: JsonObject =
    decision.editedArgs === null
      ? {}
      : { edited_call_hash: hashCall({ tool: approval.tool, args: decision.editedArgs, runId: approval.runId, stepNo: approval.stepNo, policyVersion: approval.policyVersion }) };
  return {
    tenantId: decision.tenantId,
    runId: approval.runId,
    traceId: run?.traceId ?? '',
    actor: `user:${decision.decider.userId}`,
    action: 'approval_grant',
    phase: 'event',
    decision: statusAfter(decision.verdict),
    outcome: null,
    rule: approval.rule,
    stepNo: approval.stepNo,
    metadata: { approval_id: approval.id, verdict: decision.verdict, tool: approval.tool, call_hash: approval.callHash, policy_version: approval.policyVersion, ...edited },
    input: decision.editedArgs ?? approval.args,
    output: decision.comment,
  };
}

/** The compare-and-set did not hold: say who or what came first. */
async function explainLoss(decision: ApprovalDecision, deps: DecideDeps): Promise<never> {
  const now = await deps.store.getApproval(decision.tenantId, decision.approvalId);
  if (now === null) throw new PlatformError('not_found', 'There is no such approval.');
  checkOpen(now, deps.clock.now());
  throw new PlatformError('conflict', 'The approval is expired, or its run has ended; it can be decided no more.', { details: { status: 'expired' } });
}
