import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActStep, Approval } from '@openeaap/kernel';
import { hashCall } from '@openeaap/kernel';
import { cancelRun } from '@openeaap/orchestrator';
import { createLatch } from './harness/latch.ts';
import { allow, deny, gate, gateTools } from './harness/scripted-policy.ts';
import { first } from './harness/first.ts';
import type { TestNode, World } from './harness/world.ts';
import { ALICE, BOB, CAROL, TENANT, answer, call, calls, createWorld, script } from './harness/world.ts';

const ip = { ip: '10.0.0.7' };
/**
 * Approvals as people meet them. Tests that hold off a bug which another platform shipped name it: Mastra, LangGraph,
 * Dify and others with the number of the issue. Several approvers are in approval-votes, escalation in approval-escalation.
 */
let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
  world.policy.decide = gateTools(['block_ip']);
  world.think = script(calls(call('block_ip', ip)), answer('finished'));
});
afterEach(() => world.close());

/** A run that waits for its one approval. */
async function waiting(): Promise<{ readonly runId: string; readonly approvalId: string; readonly hash: string }> {
  const runId = await world.accept();
  await node.work();
  const [approval] = await world.approvals(runId);
  expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'approval' });
  return { runId, approvalId: approval?.id ?? '', hash: approval?.callHash ?? '' };
}

const actOf = async (runId: string): Promise<ActStep> => (await world.steps(runId)).find((step) => step.kind === 'act') as ActStep;
const expire = (approvalId: string): Promise<unknown> =>
  world.pool.query(`WITH a AS (UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = $1 RETURNING run_id)
    UPDATE runs SET wake_at = now() FROM a WHERE runs.id = a.run_id`, [approvalId]);

describe('R6: an approval grants one call', () => {
  test('R6: nothing is done before the approval; approve runs the stored call once and asks the model no more about it', async () => {
    const { runId, approvalId, hash } = await waiting();
    expect(world.tools.calls).toEqual([]);
    const stored = await actOf(runId);
    expect(hash).toBe(hashCall({ tool: 'block_ip', args: ip, runId, stepNo: stored.no, policyVersion: 'p1' }));
    await world.decide(approvalId, 'approve', { hash });
    await node.work();
    expect(world.tools.calls).toMatchObject([{ tool: 'block_ip', args: ip, key: `${runId}:${stored.no}` }]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed', output: 'finished' });
    expect(await actOf(runId)).toMatchObject({ status: 'done', attempts: 1, approvalId });
    expect((await world.steps(runId)).filter((step) => step.kind === 'think')).toHaveLength(2);
  });

  test('R6: edit runs the edited arguments, after the PDP was asked about them twice: at the decision and at the call', async () => {
    const { runId, approvalId } = await waiting();
    world.policy.asked.length = 0;
    await world.decide(approvalId, 'edit', { args: { ip: '10.0.0.8' } });
    expect(world.policy.asked).toMatchObject([{ kind: 'act', input: { ip: '10.0.0.8' } }]);
    await node.work();
    expect(world.policy.asked.filter((asked) => asked.kind === 'act')).toHaveLength(2);
    expect(world.tools.calls).toMatchObject([{ args: { ip: '10.0.0.8' } }]);
    expect(await actOf(runId)).toMatchObject({ status: 'done', args: { ip: '10.0.0.8' } });
    const event = (await world.events(runId)).find(({ type }) => type === 'approval_decided');
    expect(event?.data).toMatchObject({ verdict: 'edit', edited_input: { ip: '10.0.0.8' }, decided_by: 'bob' });
  });

  test('R6: an edit that the policy denies, or that the tool would not take, is refused and the approval stays open', async () => {
    const { runId, approvalId } = await waiting();
    world.policy.decide = (request) => (request.kind === 'act' && JSON.stringify(request.input).includes('8.8.8.8') ? deny('blocklist') : gate());
    await expect(world.decide(approvalId, 'edit', { args: { ip: '8.8.8.8' } })).rejects.toMatchObject({ code: 'policy_denied', details: { rule: 'blocklist' } });
    await expect(world.decide(approvalId, 'edit', { args: { ip: 7 } })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(world.decide(approvalId, 'edit')).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(world.decide(approvalId, 'approve', { args: ip })).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await world.approvals(runId)).toMatchObject([{ status: 'pending' }]);
    world.policy.decide = gateTools(['block_ip']);
    await world.decide(approvalId, 'approve');
    await node.work();
    expect(world.tools.calls).toMatchObject([{ args: ip }]);
  });

  test('R6: an edit into a call that another group must grant, or that its requester may not, is refused', async () => {
    const { approvalId } = await waiting();
    world.policy.decide = () => gate({ approvers: ['group:board'] });
    await expect(world.decide(approvalId, 'edit', { args: { ip: '10.9.9.9' } })).rejects.toMatchObject({ code: 'permission_denied' });
    world.policy.decide = () => gate({ approvers: ['*'], forbidRequester: true });
    await world.pool.query(`UPDATE approvals SET approvers = '{*}'`);
    await expect(world.decide(approvalId, 'edit', { args: { ip: '10.9.9.9' }, by: ALICE })).rejects.toMatchObject({ code: 'permission_denied' });
    world.policy.decide = gateTools(['block_ip']);
  });

  test.each([[() => { throw new Error('boom'); }], [() => ({ effect: 'maybe' }) as never], [() => undefined as never], [() => ({ effect: 'allow' }) as never]])(
    'R6, R9: an edit about which the policy gives no usable answer is refused (%#)',
    async (decide) => {
      const { runId, approvalId } = await waiting();
      world.policy.decide = decide;
      await expect(world.decide(approvalId, 'edit', { args: { ip: '10.9.9.9' } })).rejects.toMatchObject({ code: 'policy_denied' });
      expect(await world.approvals(runId)).toMatchObject([{ status: 'pending' }]);
    },
  );

  test('R6: a declined call is never made (Mastra 20487 made it), and the reason reaches the next think', async () => {
    const { runId, approvalId } = await waiting();
    await expect(world.decide(approvalId, 'reject', { comment: ' ' })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'comment' } });
    let told: unknown = null;
    world.think = script(calls(call('block_ip', ip)), (request) => {
      told = request.journal.findLast((step) => step.kind === 'act')?.error;
      return answer('understood');
    });
    await world.decide(approvalId, 'reject', { comment: 'this is our own proxy' });
    await node.work();
    expect(told).toEqual({ code: 'approval_rejected', message: 'Rejected by bob: this is our own proxy' });
    expect(world.tools.calls).toEqual([]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect((await actOf(runId)).finishedAt).not.toBeNull();
  });

  test('R6: a timeout is expired, never rejected, and nothing waits for ever (agent-os 1564, hoop 883, hawk 695); the run goes on and may ask again', async () => {
    world.think = script(calls(call('block_ip', ip)), calls(call('block_ip', ip)), answer('finished'));
    const { runId, approvalId } = await waiting();
    await expire(approvalId);
    await expect(world.decide(approvalId, 'approve')).rejects.toMatchObject({ code: 'conflict', details: { status: 'expired' } });
    await node.work();
    const [second, first] = await world.approvals(runId);
    expect(first).toMatchObject({ id: approvalId, status: 'expired', verdict: null, decidedBy: null });
    expect(second).toMatchObject({ status: 'pending' });
    expect(await actOf(runId)).toMatchObject({ status: 'expired', error: { code: 'approval_expired' } });
    await world.decide(second?.id ?? '', 'approve');
    await node.work();
    expect(world.tools.calls).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect((await world.events(runId)).filter(({ type, data }) => type === 'approval_decided' && data['status'] === 'expired')).toHaveLength(1);
  });

  test('R6: an approval expires by the clock of the store, so a node whose clock is wrong does not spin', async () => {
    const behind = await world.node({ clock: { ...world.deps.clock, now: () => new Date(Date.now() - 3_600_000) } });
    const ahead = await world.node({ clock: { ...world.deps.clock, now: () => new Date(Date.now() + 36_000_000) } });
    const runId = await world.accept();
    await ahead.work();
    expect(await world.run(runId)).toMatchObject({ status: 'paused' });
    const [approval] = await world.approvals(runId);
    await world.pool.query('UPDATE runs SET wake_at = now()');
    await ahead.work();
    expect(await world.approvals(runId)).toMatchObject([{ status: 'pending' }]);
    await expire(approval?.id ?? '');
    await behind.work();
    expect(await world.approvals(runId)).toMatchObject([{ status: 'expired' }]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R6: a decision about another call, by the wrong people, unknown, malformed or given twice is answered clearly and changes nothing', async () => {
    const { runId, approvalId } = await waiting();
    const other = hashCall({ tool: 'block_ip', args: { ip: '10.0.0.9' }, runId, stepNo: 2, policyVersion: 'p1' });
    await expect(world.decide(approvalId, 'approve', { hash: other })).rejects.toMatchObject({ code: 'hash_mismatch' });
    await expect(world.decide(approvalId, 'approve', { by: ALICE })).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(world.decide(approvalId, 'mark_done')).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(world.decide(approvalId, 'maybe' as never)).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'verdict', allowed: ['approve', 'edit', 'reject'] } });
    await expect(world.decide('01900000-0000-7000-8000-000000000000', 'approve')).rejects.toMatchObject({ code: 'not_found' });
    expect(await world.approvals(runId)).toMatchObject([{ status: 'pending', votes: [] }]);
    expect(await world.run(runId)).toMatchObject({ status: 'paused' });
    expect((await world.events(runId)).filter(({ type }) => type.startsWith('approval_'))).toEqual([]);
    await world.decide(approvalId, 'approve');
    await expect(world.decide(approvalId, 'approve'), 'the same person in another tab').rejects.toMatchObject({ code: 'already_decided', details: { decided_by: 'bob', status: 'approved' } });
    await node.work();
    await expect(world.decide(approvalId, 'reject')).rejects.toMatchObject({ code: 'already_decided' });
    expect(world.tools.calls).toHaveLength(1);
  });

  test('R6: where the policy says so the requester cannot be the approver', async () => {
    world.policy.decide = gateTools(['block_ip'], { approvers: ['group:soc', 'group:security-ops'], forbidRequester: true });
    const { approvalId } = await waiting();
    await expect(world.decide(approvalId, 'approve', { by: ALICE })).rejects.toMatchObject({ code: 'permission_denied', details: { requester: 'alice' } });
    await expect(world.decide(approvalId, 'approve', { by: BOB })).resolves.toMatchObject({ status: 'approved', decidedBy: 'bob' });
  });

  test('R6: of many who decide at once one wins, and every other is told who', async () => {
    const { runId, approvalId } = await waiting();
    const deciders = [BOB, CAROL];
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => world.decide(approvalId, n % 3 === 0 ? 'reject' : 'approve', { by: deciders[n % 2] ?? BOB })),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(won).toHaveLength(1);
    const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(lost).toEqual(lost.map(() => expect.objectContaining({ code: 'already_decided', details: expect.objectContaining({ decided_by: won[0]?.decidedBy, status: won[0]?.status }) })));
    await node.work();
    expect(world.tools.calls).toHaveLength(won[0]?.status === 'approved' ? 1 : 0);
    expect((await world.events(runId)).filter(({ type }) => type === 'approval_decided')).toHaveLength(1);
    expect((await world.audit(runId)).filter((row) => row.action_type === 'approval_grant')).toHaveLength(1);
  });

  test('R6: a decision that was made while no node was up counts when one starts (Mastra 19301, vercel/workflow 1203)', async () => {
    const { runId, approvalId } = await waiting();
    await world.store.stopNode(node.id);
    await world.decide(approvalId, 'approve');
    expect(await world.run(runId)).toMatchObject({ status: 'paused' });
    await (await world.node()).work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(world.tools.calls).toHaveLength(1);
  });

  const three = [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }, { ip: '10.0.0.3' }] as const;

  /** A run with three calls of one tool that wait, in the order in which they were proposed. */
  async function waitingForThree(): Promise<{ readonly runId: string; readonly open: readonly Approval[] }> {
    world.think = script(calls(...three.map((args, n) => call('block_ip', args, `block-${n}`))), answer('finished'));
    const { runId } = await waiting();
    const open = (await world.approvals(runId)).toSorted((a, b) => a.stepNo - b.stepNo);
    expect(open.map(({ args }) => args)).toEqual(three);
    expect(new Set(open.map(({ id }) => id)).size).toBe(3);
    expect(new Set(open.map(({ callHash }) => callHash)).size).toBe(3);
    return { runId, open };
  }

  /** The first is approved, the second edited, the third rejected: each answer can only be right for its own call. */
  const answers = [['approve', {}], ['edit', { args: { ip: '10.9.9.2' } }], ['reject', { comment: 'ours' }]] as const;
  const expected = ['10.0.0.1 done', '10.9.9.2 done', '10.0.0.3 rejected'];
  const outcomes = async (runId: string): Promise<readonly string[]> =>
    (await world.steps(runId)).flatMap((step) => (step.kind === 'act' ? [`${(step.args as typeof ip).ip} ${step.status}`] : []));

  test.each([[[0, 1, 2]], [[0, 2, 1]], [[1, 0, 2]], [[1, 2, 0]], [[2, 0, 1]], [[2, 1, 0]]])(
    'R6: three parallel calls are decided one by one, in the order %j; each answer reaches its own call and no other moves (LangGraph 6208, PR 6627)',
    async (order) => {
      const { runId, open } = await waitingForThree();
      for (const [nth, which] of order.entries()) {
        const [verdict, options] = answers[which] ?? answers[0];
        await world.decide(open[which]?.id ?? '', verdict, options);
        await node.work();
        const decided = order.slice(0, nth + 1);
        expect(world.tools.calls).toHaveLength(decided.filter((one) => one !== 2).length);
        expect((await world.approvals(runId)).filter(({ status }) => status === 'pending')).toHaveLength(2 - nth);
        expect(await world.run(runId)).toMatchObject({ status: nth === 2 ? 'completed' : 'paused' });
      }
      expect(await outcomes(runId)).toEqual(expected);
      expect(new Set(world.tools.calls.map(({ key }) => key)).size).toBe(2);
      expect((await world.steps(runId)).filter((step) => step.kind === 'think')).toHaveLength(2);
    },
  );

  test('R6: three parallel calls decided at the same moment, each in two tabs at two nodes, leave nothing paused and make nothing twice (Dify 42103)', async () => {
    const { runId, open } = await waitingForThree();
    const nodes = [world.deps, world.peer()];
    const results = await Promise.allSettled(
      open.flatMap(({ id }, which) => nodes.map((at) => world.decide(id, answers[which]?.[0] ?? 'approve', { ...answers[which]?.[1], at }))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(lost).toEqual(lost.map(() => expect.objectContaining({ code: 'already_decided' })));
    const other = await world.node({ store: world.peer().store });
    await Promise.all([node.work(), other.work()]);
    await node.work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(await outcomes(runId)).toEqual(expected);
    expect(world.tools.calls).toHaveLength(2);
  });

  test('R6: an approval is never applied to another call that waits (Mastra 19633)', async () => {
    const other = { ip: '10.0.0.8' };
    world.think = script(calls(call('block_ip', ip)), calls(call('block_ip', other)), answer('finished'));
    const { runId, approvalId, hash } = await waiting();
    await expire(approvalId);
    await node.work();
    const second = first((await world.approvals(runId)).filter(({ status }) => status === 'pending'));
    expect(second).toMatchObject({ args: other, tool: 'block_ip' });
    // The old button is pressed: its own approval is over, and its call is not the one that waits.
    await expect(world.decide(approvalId, 'approve', { hash })).rejects.toMatchObject({ code: 'conflict', details: { status: 'expired' } });
    await expect(world.decide(second.id, 'approve', { hash })).rejects.toMatchObject({ code: 'hash_mismatch', details: { expected: second.callHash } });
    await node.work();
    expect(world.tools.calls).toEqual([]);
    expect(first((await world.approvals(runId)).filter(({ status }) => status === 'pending')).id).toBe(second.id);
    await world.decide(second.id, 'approve', { hash: second.callHash });
    await node.work();
    expect(world.tools.calls).toMatchObject([{ args: other }]);
  });

  test.each([
    ['other arguments', `UPDATE approvals SET args = '{"ip": "8.8.8.8"}' WHERE id = $1`],
    ['an edit that nobody voted for', `UPDATE approvals SET edited_args = '{"ip": "8.8.8.8"}', call_hash = md5('x') WHERE id = $1`],
    ['an edit beside the hash that was approved', `UPDATE approvals SET edited_args = '{"ip": "8.8.8.8"}' WHERE id = $1`],
    ['a smaller number of votes than it needs', `UPDATE approvals SET min_approvals = 2, approvals_given = 2 WHERE id = $1`],
    ['another tool', `UPDATE approvals SET tool = 'wipe_host' WHERE id = $1`],
    ['the hash of another call', `UPDATE approvals SET call_hash = md5('x') WHERE id = $1`],
  ])('R6: a stored approval that was given %s behind the back of its approver grants nothing', async (_name, tamper) => {
    const { runId, approvalId } = await waiting();
    await world.decide(approvalId, 'approve');
    await world.pool.query(tamper, [approvalId]);
    await node.work();
    expect(world.tools.calls).toEqual([]);
    expect(await actOf(runId)).toMatchObject({ status: 'denied', error: { code: 'hash_mismatch' } });
  });

  test('R6: what a node of the version before approved, with and without an edit, is made', async () => {
    for (const edited of [null, { ip: '10.0.0.9' }]) {
      const { approvalId } = await waiting();
      await world.pool.query(
        `WITH a AS (UPDATE approvals SET status = 'approved', verdict = $2, edited_args = $3, decided_by = 'bob', decided_at = now() WHERE id = $1 RETURNING run_id)
         UPDATE runs SET signal_no = signal_no + 1, wake_at = now() FROM a WHERE runs.id = a.run_id`,
        [approvalId, edited === null ? 'approve' : 'edit', edited],
      );
      await node.work();
      expect(world.tools.calls.at(-1)).toMatchObject({ args: edited ?? ip });
    }
    expect(world.tools.calls).toHaveLength(2);
  });

  test('R6: what was declined and is proposed again waits for an answer of its own (Mastra 20487)', async () => {
    world.think = script(calls(call('block_ip', ip), call('put_ticket', {})), calls(call('block_ip', ip)), answer('finished'));
    const { runId, approvalId } = await waiting();
    await world.decide(approvalId, 'reject');
    await expect(world.decide(approvalId, 'approve', { by: CAROL })).rejects.toMatchObject({ code: 'already_decided', details: { status: 'rejected', decided_by: 'bob' } });
    await node.work();
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['put_ticket']);
    expect((await world.approvals(runId)).map(({ status }) => status)).toEqual(['pending', 'rejected']);
    expect(await world.run(runId)).toMatchObject({ status: 'paused' });
  });

  test('R6: approved after a restart of everything: other process, other node, other connections (Mastra 19301)', async () => {
    const { runId, approvalId, hash } = await waiting();
    await node.die();
    await world.cutConnections();
    const restarted = world.peer();
    expect(await world.decide(approvalId, 'approve', { hash, at: restarted })).toMatchObject({ status: 'approved' });
    await (await world.node({ store: restarted.store })).work();
    expect(world.tools.calls).toMatchObject([{ args: ip }]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect((await world.steps(runId)).filter((step) => step.kind === 'think')).toHaveLength(2);
  });

  test('R6: an approval after hundreds of steps with long results reaches its call as promptly as one after a single step (Mastra 22413, 17284)', async ({ annotate }) => {
    await world.createAgent('long', { maxSteps: 600 });
    world.tools.on('look_up', async () => ({ text: 'a long answer of a tool. '.repeat(160) }));
    const rounds = (count: number): ReturnType<typeof script> => script(...Array.from({ length: count }, () => calls(call('look_up', { page: 1 }))), calls(call('block_ip', ip)), answer('finished'));
    const measure = async (lookUps: number): Promise<{ readonly ms: number; readonly steps: number }> => {
      world.think = rounds(lookUps);
      const runId = await world.accept('x', { agent: 'long' });
      await node.work();
      const approval = first(await world.approvals(runId));
      let calledAt = Number.NaN;
      world.tools.on('block_ip', async () => {
        calledAt = performance.now();
        return { ok: true };
      });
      const decidedAt = performance.now();
      await world.decide(approval.id, 'approve', { hash: approval.callHash });
      await node.work();
      expect(await world.run(runId)).toMatchObject({ status: 'completed' });
      return { ms: calledAt - decidedAt, steps: approval.stepNo };
    };
    const short: number[] = [];
    const long: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      short.push((await measure(0)).ms);
      const { ms, steps } = await measure(150);
      expect(steps).toBeGreaterThan(300);
      long.push(ms);
    }
    const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
    await annotate(`decision to tool call, median of 5: ${median(short).toFixed(1)} ms after 1 step, ${median(long).toFixed(1)} ms after 301 steps (0.6 MB of results)`);
    // The bar is 200 ms; a machine that is shared gets ten times that.
    expect(median(long)).toBeLessThan(2_000);
    // Linear in what is read, far from a second of its own: no snapshot is loaded, nothing is replayed.
    expect(median(long) - median(short)).toBeLessThan(1_000);
  }, 180_000);

  test('R6: a loop of approvals repeats nothing of what went before it (LangGraph 7780, 6792)', async () => {
    const rounds = 5;
    world.think = script(...Array.from({ length: rounds }, (_, n) => calls(call('look_up', { n }), call('put_ticket', { n }), call('block_ip', { ip: `10.0.1.${n}` }))), answer('finished'));
    const runId = await world.accept();
    for (let n = 0; n < rounds; n += 1) {
      const worker = await world.node();
      await worker.work();
      const counts = ['look_up', 'put_ticket', 'block_ip'].map((tool) => world.tools.callsOf(tool).length);
      expect(counts, `before approval ${n + 1}`).toEqual([n + 1, n + 1, n]);
      await world.decide(first((await world.approvals(runId)).filter(({ status }) => status === 'pending')).id, 'approve');
      await worker.die();
    }
    await node.work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(world.tools.calls).toHaveLength(3 * rounds);
    expect(new Set(world.tools.calls.map(({ key }) => key)).size).toBe(3 * rounds);
    expect((await world.steps(runId)).filter((step) => step.kind === 'think')).toHaveLength(rounds + 1);
  });

  test('R6: a call that waits does not lose its approval while calls beside it are made', async () => {
    world.think = script(calls(call('block_ip', ip), call('look_up')), answer('finished'));
    const { runId, approvalId } = await waiting();
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['look_up']);
    expect(await actOf(runId)).toMatchObject({ status: 'waiting_approval', approvalId });
  });

  test('R6: a decision that races with the pause is not lost: the pause does not hold and the run goes on (Dify 42103, 40445)', async () => {
    world.policy.decide = gateTools(['block_ip', 'wipe_host']);
    world.think = script(calls(call('block_ip', ip), call('wipe_host')), answer('finished'));
    const { runId } = await waiting();
    const [wipe, block] = await world.approvals(runId);
    await world.decide(block?.id ?? '', 'approve');
    let raced = false;
    const answers: unknown[] = [];
    const racing = await world.node({
      store: {
        ...world.store,
        commitRun: async (commit) => {
          if (!raced && commit.to?.status === 'paused') {
            raced = true;
            await world.decide(wipe?.id ?? '', 'approve');
            answers.push(await world.store.commitRun(commit));
          }
          return world.store.commitRun(commit);
        },
      },
    });
    await racing.work();
    expect(answers).toEqual([{ kind: 'signalled' }]);
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['block_ip', 'wipe_host']);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect((await world.events(runId)).filter(({ type }) => type === 'run_paused')).toHaveLength(1);
  });

  test('R6: the end of a run closes its approvals; cancelled while waiting, nothing is made and nothing can be decided', async () => {
    const { runId, approvalId } = await waiting();
    await cancelRun({ tenantId: TENANT, runId, by: 'alice', reason: null }, world.deps);
    await node.work();
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled' });
    expect(await world.approvals(runId)).toMatchObject([{ status: 'cancelled', verdict: null }]);
    await expect(world.decide(approvalId, 'approve')).rejects.toMatchObject({ code: 'conflict', details: { status: 'cancelled' } });
    expect(world.tools.calls).toEqual([]);
    expect(await actOf(runId)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } });
  });

  test('R6: what was approved is still denied when the policy denies it at the call', async () => {
    const { runId, approvalId } = await waiting();
    await world.decide(approvalId, 'approve');
    world.policy.decide = (request) => (request.kind === 'act' ? deny('night') : allow());
    await node.work();
    expect(world.tools.calls).toEqual([]);
    expect(await actOf(runId)).toMatchObject({ status: 'denied', error: { code: 'policy_denied' } });
  });

  test('R6: a node that dies between the decision and the call leaves the call to the next, once', async () => {
    const { runId, approvalId } = await waiting();
    await world.decide(approvalId, 'approve');
    const stop = new AbortController();
    const latch = createLatch();
    const dying = await world.node({ store: { ...world.store, commitRun: () => latch.opened.then(() => Promise.reject(new Error('dead'))) } });
    const driven = dying.drive(first(await dying.claim()), { stop: stop.signal });
    stop.abort();
    latch.open();
    await driven;
    expect(world.tools.calls).toEqual([]);
    await dying.die();
    await node.work();
    expect(world.tools.calls).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R6: a dry run never makes a call with an effect, gated or not, and asks nobody', async () => {
    await world.createAgent('dry', { dryRun: true });
    world.think = script(calls(call('block_ip', ip), call('wipe_host'), call('look_up')), answer('finished'));
    const runId = await world.accept('x', { agent: 'dry' });
    await node.work();
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['look_up']);
    expect((await world.steps(runId)).map(({ status }) => status)).toEqual(['done', 'dry_run', 'dry_run', 'done', 'done']);
    expect(await world.approvals(runId)).toEqual([]);
  });

  test('R6: a policy that turns to dry run after the approval is obeyed', async () => {
    const { runId, approvalId } = await waiting();
    await world.decide(approvalId, 'approve');
    world.policy.decide = () => allow({ constraints: { blockedTools: [], dryRun: true, maxTokens: 0 } });
    await node.work();
    expect(world.tools.calls).toEqual([]);
    expect(await actOf(runId)).toMatchObject({ status: 'dry_run' });
  });
});
