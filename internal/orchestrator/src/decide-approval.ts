import type { Approval, ApprovalDecision, AuditFact, CountedVote, Decision, JsonObject, NewRunEvent, VoteOutcome } from '@openeaap/kernel';
import { LIMITS, PlatformError, VERDICTS, approversAt, countVote, hashCall, matchesSubject, statusAfter, subjectsOf } from '@openeaap/kernel';
import { evaluatePolicy } from './ask-policy.ts';
import type { DriveDeps } from './deps.ts';
import { taintOf } from './taint.ts';
import { toStorable } from './to-storable.ts';

type DecideDeps = Pick<DriveDeps, 'store' | 'policy' | 'tools' | 'clock' | 'log'>;

/**
 * R6: one person's vote about one call, and the decision if it is the last one needed. What may be
 * checked without the database is checked first, so that the answer says what is wrong; the
 * compare-and-set in the store is what holds. A vote that another one overtook is counted anew.
 *
 * Errors: not_found, invalid_input, permission_denied, already_decided, hash_mismatch, conflict (expired,
 * the run has ended, or this person has said so before), policy_denied (the PDP denies the edited call;
 * the approval stays open), unavailable (too many voted at once).
 */
export async function decideApproval(given: ApprovalDecision, deps: DecideDeps): Promise<Approval> {
  const decision: ApprovalDecision = { ...given, editedArgs: toStorable(given.editedArgs) };
  for (let attempt = 0; attempt < LIMITS.approvalVoteAttempts; attempt += 1) {
    const approval = await deps.store.getApproval(decision.tenantId, decision.approvalId);
    if (approval === null) throw new PlatformError('not_found', 'There is no such approval.');
    const counted = await countDecision(decision, approval, deps);
    const decided = await deps.store.decideApproval(counted.vote, { event: toEvent(decision, approval, counted), audit: [await toFact(decision, approval, counted, deps)] });
    if (decided !== null) return decided;
    await checkLoss(approval, deps);
  }
  throw new PlatformError('unavailable', 'Too many people vote at this moment. Nothing was written; send it again.', { details: { retryAfterS: 1 } });
}

interface Counted {
  readonly outcome: Exclude<VoteOutcome, { readonly kind: 'repeated' }>;
  readonly vote: CountedVote;
}

/** What the vote comes to if nobody comes in between; throws what is wrong with it. */
async function countDecision(decision: ApprovalDecision, approval: Approval, deps: DecideDeps): Promise<Counted> {
  checkVerdict(decision, approval);
  checkApprover(decision, approval);
  checkOpen(approval);
  checkCall(decision, approval);
  const { userId: voter } = decision.decider;
  const outcome = countVote(approval, { voter, verdict: decision.verdict });
  if (outcome.kind === 'repeated') throw repeated(outcome);
  if (decision.editedArgs !== null || (decision.verdict === 'approve' && approval.editedArgs !== null)) await checkEdit(decision, approval, deps);
  return {
    outcome,
    vote: {
      tenantId: decision.tenantId,
      approvalId: decision.approvalId,
      verdict: decision.verdict,
      voter,
      subjects: subjectsOf(decision.decider),
      comment: decision.comment,
      seen: { callHash: approval.callHash, given: approval.approvalsGiven, round: approval.round },
      status: outcome.kind === 'decided' ? outcome.status : 'pending',
      given: outcome.given,
      round: outcome.round,
      callHash: decision.editedArgs === null ? approval.callHash : hashOf(approval, decision.editedArgs),
      editedArgs: decision.editedArgs,
    },
  };
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

/** For a clear answer; the store judges once more, by its clock. */
function checkApprover(decision: ApprovalDecision, approval: Approval): void {
  const approvers = approversAt(approval, approval.readAt);
  if (!matchesSubject(decision.decider, approvers)) {
    const later = approval.escalation.find((stage) => stage.at > approval.readAt && matchesSubject(decision.decider, stage.approvers));
    const hint = later === undefined ? '' : ` You may from ${later.at.toISOString()} on, if nobody has by then.`;
    throw new PlatformError('permission_denied', `Only ${approvers.join(', ')} may decide this.${hint}`, {
      details: { approvers, ...(later === undefined ? {} : { escalates_at: later.at.toISOString() }) },
    });
  }
  if (approval.forbidRequester && decision.decider.userId === approval.requesterId) {
    throw new PlatformError('permission_denied', 'The policy does not let the requester decide about the own request.', { details: { requester: approval.requesterId } });
  }
}

/** By the clock of the store, as of when the approval was read. */
function checkOpen(approval: Approval): void {
  if (approval.status === 'pending' && approval.expiresAt > approval.readAt) return;
  if (approval.status === 'approved' || approval.status === 'rejected') throw alreadyDecided(approval);
  const status = approval.status === 'pending' ? 'expired' : approval.status;
  throw new PlatformError('conflict', `The approval is ${status}; it can be decided no more.`, { details: { status } });
}

/** Where several must agree, an edit can change the call under a reader's eyes: the grant names what was seen. */
function checkCall(decision: ApprovalDecision, approval: Approval): void {
  if (decision.callHash === null && approval.minApprovals > 1 && statusAfter(decision.verdict) === 'approved') {
    throw new PlatformError('invalid_input', 'Several people must approve this, and one may edit the call: say which call you saw with "call_hash".', { details: { field: 'call_hash', expected: approval.callHash } });
  }
  if (decision.callHash !== null && decision.callHash !== approval.callHash) {
    throw new PlatformError('hash_mismatch', 'This decision is about another call than the one that waits. Read the approval again.', { details: { expected: approval.callHash } });
  }
  if (decision.verdict === 'edit' && approval.round >= LIMITS.approvalRounds) {
    throw new PlatformError('conflict', `The call has been edited ${LIMITS.approvalRounds - 1} times. Approve it as it is, or reject it and have it proposed anew.`, { details: { status: 'pending' } });
  }
  if (decision.verdict === 'edit' && approval.minApprovals > 1 && decision.editedArgs !== null && hashOf(approval, decision.editedArgs) === approval.callHash) {
    throw new PlatformError('invalid_input', 'These are the arguments that wait already; use approve.', { details: { field: 'args' } });
  }
}

function hashOf(approval: Approval, args: JsonObject): string {
  return hashCall({ tool: approval.tool, args, runId: approval.runId, stepNo: approval.stepNo, policyVersion: approval.policyVersion });
}

const repeated = ({ earlier, missing }: Extract<VoteOutcome, { readonly kind: 'repeated' }>): PlatformError =>
  new PlatformError('conflict', `You have approved this call already; one person counts once. ${missing} more ${missing === 1 ? 'person' : 'people'} must approve.`, {
    details: { status: 'pending', voted_at: earlier.at.toISOString(), missing },
  });

const alreadyDecided = (approval: Approval): PlatformError =>
  new PlatformError('already_decided', `${approval.decidedBy ?? 'Somebody'} has already ${approval.status} this.`, {
    details: { status: approval.status, decided_by: approval.decidedBy ?? '', decided_at: approval.decidedAt?.toISOString() ?? '' },
  });

/** The edited call must be one that the tool takes and the policy allows this approver to grant: who edits it, and who agrees to it later. */
async function checkEdit(decision: ApprovalDecision, approval: Approval, deps: DecideDeps): Promise<void> {
  const args = decision.editedArgs ?? approval.editedArgs ?? {};
  const mistake = deps.tools.validate(approval.tool, args);
  if (mistake !== null) throw new PlatformError('invalid_input', mistake, { details: { field: 'args' } });
  const run = await deps.store.getRun(decision.tenantId, approval.runId);
  const policy = run === null ? null : await deps.policy.load(run.tenantId, run.policyVersion);
  const spec = deps.tools.find(approval.tool);
  if (run === null || policy === null || spec === null) throw new PlatformError('conflict', 'The run, its policy or the tool is gone; the call cannot be edited.');
  const steps = await deps.store.readOutline(decision.tenantId, approval.runId);
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
  if (answer.effect === 'require_approval') checkDemand(decision, approval, answer);
}

/** An edit must not make a call easier to grant than it would be if it were proposed. */
function checkDemand(decision: ApprovalDecision, approval: Approval, answer: Extract<Decision, { readonly effect: 'require_approval' }>): void {
  const { minApprovals, forbidRequester, escalation } = answer.approval;
  const openMs = approval.readAt.getTime() - approval.createdAt.getTime();
  const approvers = [...answer.approval.approvers, ...escalation.filter((stage) => stage.afterMs <= openMs).flatMap((stage) => stage.approvers)];
  if (!matchesSubject(decision.decider, approvers)) {
    throw new PlatformError('permission_denied', `The edited call needs ${approvers.join(', ')}.`, { details: { approvers, rule: answer.rule } });
  }
  if (forbidRequester && decision.decider.userId === approval.requesterId) {
    throw new PlatformError('permission_denied', 'The policy does not let the requester grant the edited call.', { details: { requester: approval.requesterId, rule: answer.rule } });
  }
  if (minApprovals > approval.minApprovals) {
    throw new PlatformError('policy_denied', `The edited call needs ${minApprovals} approvals, and this one asks for ${approval.minApprovals}. Reject it and have the call proposed as it should be.`, {
      details: { rule: answer.rule, min_approvals: minApprovals },
    });
  }
}

function toEvent(decision: ApprovalDecision, approval: Approval, { outcome, vote }: Counted): NewRunEvent {
  const said = {
    step: approval.stepNo,
    tool: approval.tool,
    ...(decision.comment === null ? {} : { comment: decision.comment }),
    ...(decision.editedArgs === null ? {} : { edited_input: decision.editedArgs }),
  };
  const count = { approvals_given: outcome.given, approvals_needed: approval.minApprovals };
  if (outcome.kind === 'voted') {
    return {
      type: 'approval_voted',
      data: { approval_id: approval.id, verdict: decision.verdict, voted_by: decision.decider.userId, ...count, approvals_missing: outcome.missing, call_hash: vote.callHash, ...said },
    };
  }
  return {
    type: 'approval_decided',
    data: { approval_id: approval.id, status: outcome.status, verdict: decision.verdict, decided_by: decision.decider.userId, ...(approval.minApprovals === 1 ? {} : count), ...said },
  };
}

async function toFact(decision: ApprovalDecision, approval: Approval, { outcome, vote }: Counted, deps: DecideDeps): Promise<AuditFact> {
  const run = await deps.store.getRun(decision.tenantId, approval.runId);
  return {
    tenantId: decision.tenantId,
    runId: approval.runId,
    traceId: run?.traceId ?? '',
    actor: `user:${decision.decider.userId}`,
    action: outcome.kind === 'voted' ? 'approval_vote' : 'approval_grant',
    phase: 'event',
    decision: outcome.kind === 'voted' ? 'voted' : outcome.status,
    outcome: null,
    rule: approval.rule,
    stepNo: approval.stepNo,
    metadata: {
      approval_id: approval.id,
      verdict: decision.verdict,
      tool: approval.tool,
      call_hash: approval.callHash,
      policy_version: approval.policyVersion,
      ...(approval.minApprovals === 1 ? {} : { approvals_given: outcome.given, approvals_needed: approval.minApprovals }),
      ...(decision.editedArgs === null ? {} : { edited_call_hash: vote.callHash }),
    },
    input: decision.editedArgs ?? approval.editedArgs ?? approval.args,
    output: decision.comment,
  };
}

/** The compare-and-set did not hold. If nothing that can be seen came first, it is the run that has ended, or the time. */
async function checkLoss(seen: Approval, deps: DecideDeps): Promise<void> {
  const now = await deps.store.getApproval(seen.tenantId, seen.id);
  if (now === null) throw new PlatformError('not_found', 'There is no such approval.');
  checkOpen(now);
  if (now.callHash !== seen.callHash || now.approvalsGiven !== seen.approvalsGiven || now.round !== seen.round) return;
  throw new PlatformError('conflict', 'The approval is expired, or its run has ended; it can be decided no more.', { details: { status: 'expired' } });
}
