import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Approval, ApprovalDemand, Principal } from '@openeaap/kernel';
import { PlatformError, randomIds, subjectsOf } from '@openeaap/kernel';
import type { DriveDeps } from '@openeaap/orchestrator';
import { startNode } from '@openeaap/orchestrator';
import { createLatch, until } from './harness/latch.ts';
import { first } from './harness/first.ts';
import { gateTools } from './harness/scripted-policy.ts';
import type { TestNode, World } from './harness/world.ts';
import { BOB, TENANT, answer, call, calls, createWorld, script } from './harness/world.ts';

const MINUTE_MS = 60_000;
const LEAD: Principal = { tenantId: TENANT, userId: 'lead', groups: ['security-leads'], clearance: 3 };
const CISO: Principal = { tenantId: TENANT, userId: 'ciso', groups: [], clearance: 3 };
const LEADS_AT_30: Partial<ApprovalDemand> = { timeoutMs: 60 * MINUTE_MS, escalation: [{ afterMs: 30 * MINUTE_MS, approvers: ['group:security-leads'] }] };
const CISO_AT_45: Partial<ApprovalDemand> = { timeoutMs: 60 * MINUTE_MS, escalation: [...(LEADS_AT_30.escalation ?? []), { afterMs: 45 * MINUTE_MS, approvers: ['user:ciso'] }] };

let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
  world.policy.decide = gateTools(['block_ip'], LEADS_AT_30);
  world.think = script(calls(call('block_ip', { ip: '10.0.0.7' })), answer('finished'));
});
afterEach(() => world.close());

async function waiting(): Promise<Approval> {
  const runId = await world.accept();
  await node.work();
  return first(await world.approvals(runId));
}

const now = async (approval: Approval): Promise<Approval> => first(await world.approvals(approval.runId));
const wakeAt = async (runId: string): Promise<Date | null> => (await world.pool.query<{ wake_at: Date | null }>('SELECT wake_at FROM runs WHERE id = $1', [runId])).rows[0]?.wake_at ?? null;
const escalations = async (runId: string): Promise<readonly object[]> => (await world.events(runId)).filter(({ type }) => type === 'approval_escalated').map(({ data }) => data);
const secondsApart = (a: Date | null, b: Date): number => Math.abs((a?.getTime() ?? 0) - b.getTime()) / 1_000;

describe('R6: escalation', () => {
  test('the run is woken for the next escalation first, then for the expiry; each time it waits on', async () => {
    world.policy.decide = gateTools(['block_ip'], CISO_AT_45);
    const approval = await waiting();
    // Until the store has said when it opened the approval, a node counts by its own clock.
    expect(secondsApart(await wakeAt(approval.runId), first(approval.escalation).at)).toBeLessThan(30);
    await world.wait(approval.id, 31 * MINUTE_MS);
    await node.work();
    expect(await wakeAt(approval.runId)).toEqual((await now(approval)).escalation[1]?.at);
    await world.wait(approval.id, 15 * MINUTE_MS);
    await node.work();
    expect(await wakeAt(approval.runId)).toEqual((await now(approval)).expiresAt);
    await world.wait(approval.id, 15 * MINUTE_MS);
    await node.work();
    expect(await now(approval)).toMatchObject({ status: 'expired' });
    expect((await world.events(approval.runId)).map(({ type }) => type).filter((type) => /^approval_|^run_(paused|resumed)/.test(type))).toEqual([
      'run_paused', 'run_resumed', 'approval_escalated', 'run_paused', 'run_resumed', 'approval_escalated', 'run_paused', 'run_resumed', 'approval_decided',
    ]);
  });

  test('the second group is refused before its time and told when; from then on it may decide, and the first group still may', async () => {
    const approval = await waiting();
    await expect(world.decide(approval.id, 'approve', { by: LEAD })).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining('You may from'),
      details: { approvers: ['group:security-ops'], escalates_at: first(approval.escalation).at.toISOString() },
    });
    await world.wait(approval.id, 30 * MINUTE_MS);
    // By the clock of the store alone: no node has looked yet.
    expect(await escalations(approval.runId)).toEqual([]);
    expect(await world.decide(approval.id, 'approve', { by: LEAD })).toMatchObject({ status: 'approved', decidedBy: 'lead' });
    await node.work();
    expect(world.tools.calls).toHaveLength(1);

    const again = await waiting();
    await world.wait(again.id, 30 * MINUTE_MS);
    await node.work();
    expect(await world.decide(again.id, 'approve', { by: BOB })).toMatchObject({ status: 'approved', decidedBy: 'bob' });
  });

  test('a node whose clock is wrong lets nobody in early; what counts is the clock of the store', async () => {
    const approval = await waiting();
    const ahead: DriveDeps = { ...world.deps, clock: { ...world.deps.clock, now: () => new Date(Date.now() + 40 * MINUTE_MS) } };
    await expect(world.decide(approval.id, 'approve', { by: LEAD, at: ahead })).rejects.toMatchObject({ code: 'permission_denied' });
    const hash = approval.callHash;
    const vote = { tenantId: TENANT, approvalId: approval.id, verdict: 'approve', voter: 'lead', subjects: subjectsOf(LEAD), comment: null, seen: { callHash: hash, given: 0, round: 1 }, status: 'approved', given: 1, round: 1, callHash: hash, editedArgs: null } as const;
    const record = { event: { type: 'approval_decided', data: {} }, audit: [] } as const;
    expect(await world.store.decideApproval(vote, record)).toBeNull();
    await world.wait(approval.id, 30 * MINUTE_MS);
    const behind: DriveDeps = { ...world.deps, clock: { ...world.deps.clock, now: () => new Date(Date.now() - 600 * MINUTE_MS) } };
    expect(await world.decide(approval.id, 'approve', { by: LEAD, at: behind })).toMatchObject({ status: 'approved' });
  });

  test('a node whose clock is wrong escalates nothing early, and does not spin', async () => {
    const clock = (minutes: number): DriveDeps['clock'] => ({ ...world.deps.clock, now: () => new Date(Date.now() + minutes * MINUTE_MS) });
    const ahead = await world.node({ clock: clock(50) });
    const behind = await world.node({ clock: clock(-50) });
    const runId = await world.accept();
    await behind.work();
    const approval = first(await world.approvals(runId));
    // `behind` paused the run until a moment that is over: it was claimed again at once, and then waits by the store's clock.
    expect(await wakeAt(runId)).toEqual(first(approval.escalation).at);
    await world.pool.query('UPDATE runs SET wake_at = now()');
    await ahead.work();
    expect(await escalations(runId)).toEqual([]);
    expect(await wakeAt(runId)).toEqual(first(approval.escalation).at);
  });

  test('the escalation has its event and its audit row, once, however many nodes look', async () => {
    const approval = await waiting();
    await world.wait(approval.id, 30 * MINUTE_MS);
    const { escalation } = await now(approval);
    const record = { event: { type: 'approval_escalated', data: { stage: 1 } }, audit: [] } as const;
    const stores = [world.store, world.peer().store];
    const written = await Promise.all(Array.from({ length: 10 }, (_, n) => (stores[n % 2] ?? world.store).escalateApproval({ tenantId: TENANT, approvalId: approval.id, stage: 1 }, record)));
    expect(written.filter((one) => one === true)).toHaveLength(1);
    await node.work();
    await world.pool.query('UPDATE runs SET wake_at = now()');
    await node.work();
    expect(await escalations(approval.runId)).toEqual([{ stage: 1 }]);

    const other = await waiting();
    await world.wait(other.id, 30 * MINUTE_MS);
    await node.work();
    const stage = first((await now(other)).escalation);
    expect(stage.recorded).toBe(true);
    expect(await escalations(other.runId)).toEqual([
      { approval_id: other.id, step: other.stepNo, tool: 'block_ip', stage: 1, approvers: ['group:security-leads'], due_at: stage.at.toISOString(), expires_at: (await now(other)).expiresAt.toISOString() },
    ]);
    expect((await world.audit(other.runId)).filter((row) => row.action_type === 'approval_escalation')).toMatchObject([
      { actor: `node:${node.id}`, decision: 'escalated', outcome: null, metadata: { approval_id: other.id, stage: 1, approvers: ['group:security-leads'], call_hash: other.callHash } },
    ]);
    expect(escalation).toHaveLength(1);
  });

  test('an escalation that is not due, out of order, or of what is decided is not written', async () => {
    world.policy.decide = gateTools(['block_ip'], CISO_AT_45);
    const approval = await waiting();
    const escalate = (stage: number): Promise<true | null> =>
      world.store.escalateApproval({ tenantId: TENANT, approvalId: approval.id, stage }, { event: { type: 'approval_escalated', data: { stage } }, audit: [] });
    expect(await escalate(1)).toBeNull();
    await world.wait(approval.id, 46 * MINUTE_MS);
    expect(await escalate(2)).toBeNull();
    expect(await escalate(3)).toBeNull();
    expect(await escalate(1)).toBe(true);
    await world.decide(approval.id, 'reject');
    expect(await escalate(2)).toBeNull();
    await node.work();
    expect(await escalations(approval.runId)).toEqual([{ stage: 1 }]);
  });

  test('no node was up at that moment: it is written, once, when one starts; stages that were missed come in their order', async () => {
    world.policy.decide = gateTools(['block_ip'], CISO_AT_45);
    const approval = await waiting();
    await world.store.stopNode(node.id);
    await world.wait(approval.id, 50 * MINUTE_MS);
    expect(await escalations(approval.runId)).toEqual([]);
    await (await world.node()).work();
    await (await world.node()).work();
    expect(await escalations(approval.runId)).toMatchObject([{ stage: 1, approvers: ['group:security-leads'] }, { stage: 2, approvers: ['user:ciso'] }]);
    expect(await world.run(approval.runId)).toMatchObject({ status: 'paused', pauseReason: 'approval' });
    expect(await world.decide(approval.id, 'approve', { by: CISO })).toMatchObject({ status: 'approved', decidedBy: 'ciso' });
  });

  test('a node that dies between the escalation and its next commit leaves it written, and the next node does not write it again', async () => {
    const approval = await waiting();
    await world.wait(approval.id, 30 * MINUTE_MS);
    const stop = new AbortController();
    const dying = await world.node({
      store: {
        ...world.store,
        commitRun: async () => {
          stop.abort();
          throw new PlatformError('unavailable', 'The node is dead.');
        },
      },
    });
    await dying.drive(first(await dying.claim()), { stop: stop.signal });
    await dying.die();
    expect(await escalations(approval.runId)).toHaveLength(1);
    await (await world.node()).work();
    expect(await escalations(approval.runId)).toHaveLength(1);
    expect(await world.run(approval.runId)).toMatchObject({ status: 'paused' });
  });

  test('an answer that is lost does not make it twice', async () => {
    const approval = await waiting();
    await world.wait(approval.id, 30 * MINUTE_MS);
    let lost = 0;
    const unlucky = await world.node({
      store: {
        ...world.store,
        escalateApproval: async (mark, record) => {
          const written = await world.store.escalateApproval(mark, record);
          if (lost > 0) return written;
          lost += 1;
          throw new PlatformError('unavailable', 'The answer was lost.');
        },
      },
    });
    await unlucky.work();
    expect(lost).toBe(1);
    expect(await escalations(approval.runId)).toHaveLength(1);
    expect(await wakeAt(approval.runId)).toEqual((await now(approval)).expiresAt);
  });

  test('a run whose time is up altogether expires without an escalation', async () => {
    const approval = await waiting();
    await world.wait(approval.id, 61 * MINUTE_MS);
    await expect(world.decide(approval.id, 'approve', { by: LEAD })).rejects.toMatchObject({ code: 'conflict', details: { status: 'expired' } });
    await node.work();
    expect(await escalations(approval.runId)).toEqual([]);
    expect(await now(approval)).toMatchObject({ status: 'expired' });
  });

  test('one of each group makes two', async () => {
    world.policy.decide = gateTools(['block_ip'], { ...LEADS_AT_30, minApprovals: 2 });
    const approval = await waiting();
    await world.decide(approval.id, 'approve', { hash: approval.callHash });
    await world.wait(approval.id, 30 * MINUTE_MS);
    await node.work();
    expect(await world.decide(approval.id, 'approve', { hash: approval.callHash, by: LEAD })).toMatchObject({ status: 'approved', approvalsGiven: 2 });
  });

  test('a lead may edit after the escalation, as the edited call is under the same gate for as long', async () => {
    const approval = await waiting();
    await world.wait(approval.id, 30 * MINUTE_MS);
    await world.decide(approval.id, 'edit', { args: { ip: '10.0.0.9' }, by: LEAD });
    await node.work();
    expect(world.tools.calls).toMatchObject([{ args: { ip: '10.0.0.9' } }]);
  });

  test('while a call beside it is under way the escalation is written all the same, once', async () => {
    world.think = script(calls(call('block_ip', { ip: '10.0.0.7' }), call('put_ticket', { title: 'x' })), answer('finished'));
    const latch = createLatch();
    world.tools.on('put_ticket', async () => {
      await latch.opened;
      return { ok: true };
    });
    const runId = await world.accept();
    const working = await startNode(world.deps, { nodeId: randomIds.newId(), host: 'test', pid: process.pid, version: '1', roles: [], drives: true, heartbeatMs: 50, deadAfterMs: 60_000, pollMs: 50 });
    try {
      await until('the ticket is being written', () => world.tools.callsOf('put_ticket').length === 1, 30_000);
      const approval = first(await world.approvals(runId));
      expect(await world.run(runId)).toMatchObject({ status: 'running' });
      await world.wait(approval.id, 30 * MINUTE_MS);
      await until('the escalation is written', async () => (await escalations(runId)).length === 1, 30_000);
      expect(await world.run(runId)).toMatchObject({ status: 'running' });
      latch.open();
      await until('the run waits', async () => (await world.run(runId)).status === 'paused', 30_000);
      await world.decide(approval.id, 'approve', { by: LEAD });
      await until('the run ends', async () => (await world.run(runId)).status === 'completed', 30_000);
    } finally {
      latch.open();
      await working.stop(5_000);
    }
    expect(await escalations(runId)).toMatchObject([{ stage: 1 }]);
    expect((await world.audit(runId)).filter((row) => row.action_type === 'approval_escalation')).toHaveLength(1);
    const events = await world.events(runId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  });

  test('while a call beside it is under way, the right to decide comes all the same', async () => {
    world.think = script(calls(call('block_ip', { ip: '10.0.0.7' }), call('put_ticket', { title: 'x' })), answer('finished'));
    let decided: Approval | null = null;
    world.tools.on('put_ticket', async ({ runId }) => {
      const approval = first(await world.approvals(runId));
      await world.wait(approval.id, 30 * MINUTE_MS);
      decided = await world.decide(approval.id, 'approve', { by: LEAD });
      return { ok: true };
    });
    const runId = await world.accept();
    await node.work();
    expect(decided).toMatchObject({ status: 'approved', decidedBy: 'lead' });
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['put_ticket', 'block_ip']);
  });
});
