import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActStep, Approval, Principal } from '@openeaap/kernel';
import { hashCall, subjectsOf, toPlatformError } from '@openeaap/kernel';
import { first } from './harness/first.ts';
import { allow, gate, gateTools } from './harness/scripted-policy.ts';
import type { TestNode, World } from './harness/world.ts';
import { ALICE, BOB, CAROL, TENANT, answer, call, calls, createWorld, script } from './harness/world.ts';

const ip = { ip: '10.0.0.7' };
const other = { ip: '10.0.0.8' };
const DAVE: Principal = { ...BOB, userId: 'dave' };
let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
  world.policy.decide = gateTools(['block_ip'], { minApprovals: 2 });
  world.think = script(calls(call('block_ip', ip)), answer('finished'));
});
afterEach(() => world.close());

async function waiting(): Promise<Approval> {
  const runId = await world.accept();
  await node.work();
  expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'approval' });
  return first(await world.approvals(runId));
}

const now = async (approval: Approval): Promise<Approval> => first(await world.approvals(approval.runId));
const actOf = async (runId: string): Promise<ActStep> => (await world.steps(runId)).find((step) => step.kind === 'act') as ActStep;
const eventsOf = async (runId: string, type: string): Promise<readonly object[]> => (await world.events(runId)).filter((event) => event.type === type).map(({ data }) => data);
const hashFor = (approval: Approval, args: typeof ip): string => hashCall({ tool: 'block_ip', args, runId: approval.runId, stepNo: approval.stepNo, policyVersion: 'p1' });

describe('R6: an approval by several people', () => {
  test('the first of two changes nothing but the count; the second lets the call be made, once', async () => {
    const approval = await waiting();
    const { callHash: hash, runId } = approval;
    const voted = await world.decide(approval.id, 'approve', { hash, comment: 'looks bad' });
    expect(voted).toMatchObject({ status: 'pending', minApprovals: 2, approvalsGiven: 1, verdict: null, decidedBy: null, decidedAt: null, comment: null, votes: [{ voter: 'bob', verdict: 'approve', callHash: hash, comment: 'looks bad', round: 1 }] });
    expect(await node.claim(), 'a vote that decides nothing does not wake the run').toEqual([]);
    expect(await eventsOf(runId, 'approval_voted')).toEqual([
      { approval_id: approval.id, verdict: 'approve', voted_by: 'bob', approvals_given: 1, approvals_needed: 2, approvals_missing: 1, call_hash: hash, step: approval.stepNo, tool: 'block_ip', comment: 'looks bad' },
    ]);
    expect(await eventsOf(runId, 'approval_decided')).toEqual([]);

    expect(await world.decide(approval.id, 'approve', { hash, by: CAROL })).toMatchObject({ status: 'approved', approvalsGiven: 2, verdict: 'approve', decidedBy: 'carol' });
    expect(await eventsOf(runId, 'approval_decided')).toEqual([
      { approval_id: approval.id, status: 'approved', verdict: 'approve', decided_by: 'carol', approvals_given: 2, approvals_needed: 2, step: approval.stepNo, tool: 'block_ip' },
    ]);
    await node.work();
    expect(world.tools.calls).toMatchObject([{ tool: 'block_ip', args: ip }]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    const audit = (await world.audit(runId)).filter((row) => row.action_type.startsWith('approval_'));
    expect(audit.map((row) => `${row.action_type} ${row.decision} ${row.actor}`)).toEqual(['approval_request require_approval user:alice', 'approval_vote voted user:bob', 'approval_grant approved user:carol']);
    expect(audit.map((row) => row.metadata)).toMatchObject([{ min_approvals: 2 }, { approvals_given: 1, approvals_needed: 2 }, { approvals_given: 2, approvals_needed: 2 }]);
  });

  test('one person counts once, and is told so', async () => {
    const approval = await waiting();
    const { callHash: hash } = approval;
    await world.decide(approval.id, 'approve', { hash });
    await expect(world.decide(approval.id, 'approve', { hash })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('one person counts once. 1 more person must approve'), details: { status: 'pending', missing: 1 } });
    expect(await now(approval)).toMatchObject({ status: 'pending', approvalsGiven: 1, votes: [{ voter: 'bob' }] });
    await node.work();
    expect(world.tools.calls).toEqual([]);
  });

  test('one rejection rejects, also by somebody who has approved', async () => {
    const approval = await waiting();
    await world.decide(approval.id, 'approve', { hash: approval.callHash });
    expect(await world.decide(approval.id, 'reject', { comment: 'I was wrong' })).toMatchObject({ status: 'rejected', decidedBy: 'bob', votes: [{ verdict: 'approve' }, { verdict: 'reject' }] });
    await expect(world.decide(approval.id, 'approve', { by: CAROL, hash: approval.callHash })).rejects.toMatchObject({ code: 'already_decided', details: { decided_by: 'bob' } });
    await node.work();
    expect(world.tools.calls).toEqual([]);
    expect(await actOf(approval.runId)).toMatchObject({ status: 'rejected', error: { message: 'Rejected by bob: I was wrong' } });
  });

  test('an edit begins anew: who approved the call before it has not approved the edited one', async () => {
    const approval = await waiting();
    const { runId } = approval;
    await world.decide(approval.id, 'approve', { hash: approval.callHash });
    const edited = await world.decide(approval.id, 'edit', { hash: approval.callHash, args: other, by: CAROL });
    expect(edited).toMatchObject({ status: 'pending', approvalsGiven: 1, round: 2, args: ip, editedArgs: other, callHash: hashFor(approval, other) });
    expect(await eventsOf(runId, 'approval_voted')).toMatchObject([{ voted_by: 'bob' }, { voted_by: 'carol', verdict: 'edit', edited_input: other, approvals_missing: 1, call_hash: edited.callHash }]);
    await node.work();
    expect(world.tools.calls, 'two have voted, but for two calls').toEqual([]);

    await expect(world.decide(approval.id, 'approve', { hash: approval.callHash, by: DAVE }), 'what was shown before the edit').rejects.toMatchObject({ code: 'hash_mismatch', details: { expected: edited.callHash } });
    await expect(world.decide(approval.id, 'approve', { hash: edited.callHash, by: CAROL }), 'the editor counts already').rejects.toMatchObject({ code: 'conflict' });
    await world.decide(approval.id, 'approve', { hash: edited.callHash, by: BOB });
    await node.work();
    expect(world.tools.calls).toMatchObject([{ args: other }]);
    expect(await actOf(runId)).toMatchObject({ status: 'done', args: other });
    expect((await now(approval)).votes.map(({ voter, verdict, round }) => `${round} ${voter} ${verdict}`)).toEqual(['1 bob approve', '2 carol edit', '2 bob approve']);
  });

  test('an edit back to the first call does not bring its approvals back', async () => {
    const approval = await waiting();
    await world.decide(approval.id, 'approve', { hash: approval.callHash });
    await world.decide(approval.id, 'edit', { hash: approval.callHash, args: other, by: CAROL });
    const back = await world.decide(approval.id, 'edit', { hash: hashFor(approval, other), args: ip, by: DAVE });
    expect(back).toMatchObject({ status: 'pending', approvalsGiven: 1, round: 3, callHash: approval.callHash });
    await expect(world.decide(approval.id, 'edit', { hash: approval.callHash, args: ip, by: BOB })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'args' } });
    await world.decide(approval.id, 'approve', { hash: approval.callHash, by: BOB });
    await node.work();
    expect(world.tools.calls).toMatchObject([{ args: ip }]);
  });

  test('who grants names the call that was seen; who rejects need not', async () => {
    const approval = await waiting();
    await expect(world.decide(approval.id, 'approve')).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'call_hash', expected: approval.callHash } });
    await expect(world.decide(approval.id, 'edit', { args: other })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'call_hash' } });
    await expect(world.decide(approval.id, 'reject')).resolves.toMatchObject({ status: 'rejected' });
  });

  test('an edit cannot make a call easier to grant: people, number and requester are those of the edited call', async () => {
    const approval = await waiting();
    const { callHash: hash } = approval;
    world.policy.decide = (request) => (request.kind === 'act' && JSON.stringify(request.input) === JSON.stringify(other) ? gate({ minApprovals: 3 }) : gate({ minApprovals: 2 }));
    await expect(world.decide(approval.id, 'edit', { hash, args: other })).rejects.toMatchObject({ code: 'policy_denied', details: { min_approvals: 3 } });
    world.policy.decide = () => gate({ approvers: ['user:carol'], minApprovals: 2 });
    await expect(world.decide(approval.id, 'edit', { hash, args: other })).rejects.toMatchObject({ code: 'permission_denied' });
    const edited = await world.decide(approval.id, 'edit', { hash, args: other, by: CAROL });
    await expect(world.decide(approval.id, 'approve', { hash: edited.callHash, by: BOB }), 'may approve the first call, not the edited one').rejects.toMatchObject({ code: 'permission_denied', details: { approvers: ['user:carol'] } });
    expect(await now(approval)).toMatchObject({ status: 'pending', approvalsGiven: 1 });
  });

  test('a call can be edited only so often', async () => {
    const approval = await waiting();
    let hash = approval.callHash;
    for (let n = 1; n < 20; n += 1) hash = (await world.decide(approval.id, 'edit', { hash, args: { ip: `10.1.1.${n}` }, by: n % 2 === 0 ? BOB : CAROL })).callHash;
    await expect(world.decide(approval.id, 'edit', { hash, args: other })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('edited 19 times') });
    await expect(world.decide(approval.id, 'approve', { hash, by: BOB })).resolves.toMatchObject({ status: 'approved' });
  });

  test('the requester is nobody’s second person where the policy forbids it, not even past the first check', async () => {
    world.policy.decide = gateTools(['block_ip'], { approvers: ['*'], minApprovals: 2, forbidRequester: true });
    const approval = await waiting();
    const { callHash: hash } = approval;
    await world.decide(approval.id, 'approve', { hash });
    await expect(world.decide(approval.id, 'approve', { hash, by: ALICE })).rejects.toMatchObject({ code: 'permission_denied', details: { requester: 'alice' } });
    const vote = { tenantId: TENANT, approvalId: approval.id, verdict: 'approve', voter: 'alice', subjects: subjectsOf(ALICE), comment: null, seen: { callHash: hash, given: 1, round: 1 }, status: 'approved', given: 2, round: 1, callHash: hash, editedArgs: null } as const;
    expect(await world.store.decideApproval(vote, { event: { type: 'approval_decided', data: {} }, audit: [] })).toBeNull();
    expect(await world.store.decideApproval({ ...vote, voter: 'mallory', subjects: ['group:interns'], seen: { ...vote.seen, given: 0 } }, { event: { type: 'approval_decided', data: {} }, audit: [] })).toBeNull();
    expect(await now(approval)).toMatchObject({ status: 'pending', approvalsGiven: 1 });
    expect(await eventsOf(approval.runId, 'approval_decided')).toEqual([]);
  });

  test.each([2, 3, 5])('ten people in two tabs each, at two nodes, at once: exactly %i are counted, and the call is made once', async (minApprovals) => {
    world.policy.decide = gateTools(['block_ip'], { minApprovals });
    const approval = await waiting();
    const nodes = [world.deps, world.peer(), world.peer()];
    const people = Array.from({ length: 10 }, (_, n): Principal => ({ ...BOB, userId: `user-${n}` }));
    const results = await Promise.allSettled(
      people.flatMap((by) => [0, 1].map((tab) => world.decide(approval.id, 'approve', { hash: approval.callHash, by, at: nodes[(Number(by.userId.slice(5)) + tab) % nodes.length] ?? world.deps }))),
    );
    const counted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const codes = results.flatMap((result) => (result.status === 'rejected' ? [toPlatformError(result.reason).code] : []));
    expect(counted).toHaveLength(minApprovals);
    expect(codes.filter((code) => code !== 'already_decided' && code !== 'conflict')).toEqual([]);
    const { votes, ...decided } = await now(approval);
    expect(decided).toMatchObject({ status: 'approved', approvalsGiven: minApprovals });
    expect(new Set(votes.map(({ voter }) => voter)).size).toBe(minApprovals);
    expect(votes).toHaveLength(minApprovals);
    expect((await eventsOf(approval.runId, 'approval_voted')).map((data) => (data as { approvals_given: number }).approvals_given)).toEqual(Array.from({ length: minApprovals - 1 }, (_, n) => n + 1));
    expect(await eventsOf(approval.runId, 'approval_decided')).toHaveLength(1);
    expect((await world.audit(approval.runId)).filter((row) => row.action_type === 'approval_vote' || row.action_type === 'approval_grant')).toHaveLength(minApprovals);
    await node.work();
    expect(world.tools.calls).toHaveLength(1);
    const events = await world.events(approval.runId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  });

  test('approvals, edits and a rejection at once, at two nodes: what is made has been approved by two, as it was made', async () => {
    const nodes = [world.deps, world.peer()];
    for (let round = 0; round < 8; round += 1) {
      world.tools.calls.length = 0;
      const approval = await waiting();
      const decide = (by: Principal, verdict: 'approve' | 'edit' | 'reject', n: number): Promise<unknown> =>
        world.decide(approval.id, verdict, { hash: approval.callHash, by, at: nodes[n % 2] ?? world.deps, ...(verdict === 'edit' ? { args: { ip: `10.3.${round}.${n}` } } : {}) }).catch((thrown: unknown) => toPlatformError(thrown).code);
      await Promise.all([decide(BOB, 'approve', 0), decide(CAROL, 'edit', 1), decide(DAVE, 'approve', 2), decide({ ...BOB, userId: 'erin' }, round % 2 === 0 ? 'reject' : 'edit', 3)]);
      const open = await now(approval);
      if (open.status === 'pending') await world.decide(approval.id, 'approve', { hash: open.callHash, by: { ...BOB, userId: 'frank' } });
      await node.work();
      const ended = await now(approval);
      const grants = ended.votes.filter((vote) => vote.round === ended.round && vote.callHash === hashFor(approval, (ended.editedArgs ?? ended.args) as typeof ip) && vote.verdict !== 'reject');
      expect({ status: ended.status, calls: world.tools.calls.map(({ args }) => args), people: new Set(grants.map(({ voter }) => voter)).size >= 2 || ended.status === 'rejected' }).toEqual({
        status: ended.status,
        calls: ended.status === 'approved' ? [ended.editedArgs ?? ended.args] : [],
        people: true,
      });
    }
  });

  test('a node of the version before, which knows one decider, cannot grant what needs two', async () => {
    const approval = await waiting();
    const alone = world.pool.query(`UPDATE approvals SET status = 'approved', verdict = 'approve', decided_by = 'bob', decided_at = now() WHERE id = $1 AND status = 'pending'`, [approval.id]);
    await expect(alone).rejects.toMatchObject({ code: '23514', constraint: 'approvals_enough' });
    await expect(world.pool.query(`UPDATE approvals SET status = 'rejected', verdict = 'reject' WHERE id = $1`, [approval.id])).resolves.toMatchObject({ rowCount: 1 });
  });

  test('an approval that expires with one of two is expired, and asked for again it starts at nothing', async () => {
    world.think = script(calls(call('block_ip', ip)), calls(call('block_ip', ip)), answer('finished'));
    const approval = await waiting();
    await world.decide(approval.id, 'approve', { hash: approval.callHash });
    await world.wait(approval.id, 3_600_000);
    await expect(world.decide(approval.id, 'approve', { hash: approval.callHash, by: CAROL })).rejects.toMatchObject({ code: 'conflict', details: { status: 'expired' } });
    await node.work();
    const [second, expired] = await world.approvals(approval.runId);
    expect(expired).toMatchObject({ status: 'expired', approvalsGiven: 1 });
    expect(second).toMatchObject({ status: 'pending', approvalsGiven: 0, votes: [] });
    expect(world.tools.calls).toEqual([]);
  });
});

describe('R4: who says what became of a call', () => {
  /** A call that timed out: nobody knows whether it was made. */
  async function unknown(): Promise<Approval> {
    world.tools.on('slow_block', () => new Promise(() => undefined));
    world.think = script(calls(call('slow_block')), answer('finished'));
    const runId = await world.accept();
    await node.work();
    const gated = (await world.approvals(runId)).find(({ kind, status }) => kind === 'gate' && status === 'pending');
    if (gated !== undefined) {
      await world.decide(gated.id, 'approve', { hash: gated.callHash });
      await world.decide(gated.id, 'approve', { hash: gated.callHash, by: CAROL });
      await node.work();
    }
    expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'uncertain_outcome' });
    return (await world.approvals(runId)).find(({ kind }) => kind === 'uncertain') as Approval;
  }

  test('R4: where the gate needs two, making the call again needs two; to say that it was made, one', async () => {
    world.policy.decide = gateTools(['slow_block'], { minApprovals: 2 });
    const question = await unknown();
    expect(question).toMatchObject({ minApprovals: 2, approvers: ['group:security-ops'] });
    await world.decide(question.id, 'retry', { hash: question.callHash });
    await node.work();
    expect(world.tools.calls).toHaveLength(1);
    await expect(world.decide(question.id, 'retry', { hash: question.callHash })).rejects.toMatchObject({ code: 'conflict' });
    await world.decide(question.id, 'retry', { hash: question.callHash, by: CAROL });
    await node.work();
    expect(world.tools.calls).toHaveLength(2);
    const again = (await world.approvals(question.runId)).find(({ kind, status }) => kind === 'uncertain' && status === 'pending');
    await expect(world.decide(again?.id ?? '', 'mark_done', { hash: question.callHash })).resolves.toMatchObject({ status: 'approved' });
    await node.work();
    expect(await world.run(question.runId)).toMatchObject({ status: 'completed' });
  });

  test('R4: a call without a gate is resolved by those whom the policy names, and by whoever may decide if it names nobody', async () => {
    world.policy.decide = () => allow();
    expect(await unknown()).toMatchObject({ approvers: ['*'], minApprovals: 1, forbidRequester: false });
    world.policy.uncertainOutcome = { approvers: ['group:sre'], timeoutMs: 7_200_000, forbidRequester: true, minApprovals: 1, escalation: [{ afterMs: 3_600_000, approvers: ['group:security-ops'] }] };
    const question = await unknown();
    expect(question).toMatchObject({ approvers: ['group:sre'], forbidRequester: true });
    expect(question.expiresAt.getTime() - question.createdAt.getTime()).toBe(7_200_000);
    await expect(world.decide(question.id, 'mark_done', { by: BOB })).rejects.toMatchObject({ code: 'permission_denied', details: { approvers: ['group:sre'] } });
    await expect(world.decide(question.id, 'mark_done', { by: { ...ALICE, groups: ['sre'] } })).rejects.toMatchObject({ code: 'permission_denied', details: { requester: 'alice' } });
    await expect(world.decide(question.id, 'mark_done', { by: { ...BOB, userId: 'sam', groups: ['sre'] } })).resolves.toMatchObject({ status: 'approved', decidedBy: 'sam' });
  });

  test('R4: a gate’s own people resolve its calls, whatever uncertain_outcome says', async () => {
    world.policy.decide = gateTools(['slow_block'], { minApprovals: 2 });
    world.policy.uncertainOutcome = { approvers: ['*'], timeoutMs: 7_200_000, forbidRequester: false, minApprovals: 1, escalation: [] };
    expect(await unknown()).toMatchObject({ approvers: ['group:security-ops'], minApprovals: 2 });
  });
});
