import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActStep, ApprovalVerdict, RunCommit } from '@openeaap/kernel';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import type { RunStore } from '@openeaap/orchestrator';
import { allow, deny, gateTools } from './harness/scripted-policy.ts';
import type { TestNode, World } from './harness/world.ts';
import { ALICE, answer, call, calls, createWorld, script } from './harness/world.ts';

const ip = { ip: '10.0.0.7' };
let world: World;

beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const actOf = async (runId: string): Promise<ActStep> => (await world.steps(runId)).find((step) => step.kind === 'act') as ActStep;

/** Drives one run on a node that dies at its n-th commit, before or after the database has it. */
async function dieAtCommit(runId: string, n: number, moment: 'before' | 'after'): Promise<void> {
  const stop = new AbortController();
  let seen = 0;
  const commitRun: RunStore['commitRun'] = async (commit) => {
    seen += 1;
    if (seen < n) return world.store.commitRun(commit);
    if (moment === 'after') await world.store.commitRun(commit);
    stop.abort();
    throw new PlatformError('unavailable', 'The node is dead.');
  };
  const node = await world.node({ store: { ...world.store, commitRun } });
  const claimed = (await node.claim()).find(({ run }) => run.id === runId);
  if (claimed !== undefined) await node.drive(claimed, { stop: stop.signal });
  await node.die();
}

/** The journal as a crash leaves it once the call's start is committed and its result is not. */
async function crashAfterEffect(tool: string, args = {}): Promise<string> {
  world.think = script(calls(call(tool, args)), answer('finished'));
  const runId = await world.accept();
  await dieAtCommit(runId, 3, 'before');
  expect(world.tools.callsOf(tool)).toHaveLength(1);
  expect(await actOf(runId)).toMatchObject({ status: 'started', attempts: 1, result: null });
  return runId;
}

describe('R4: intent before effect', () => {
  test('R4: the intent of a call is in the journal, the events and the audit before the tool is called', async () => {
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    world.tools.on('block_ip', async () => {
      expect(await actOf(runId)).toMatchObject({ status: 'started', attempts: 1, args: ip, decision: { effect: 'allow' } });
      expect((await world.events(runId)).at(-1)).toMatchObject({ type: 'tool_call', data: { tool: 'block_ip', input: ip } });
      expect((await world.audit(runId)).at(-1)).toMatchObject({ action_type: 'tool_call', phase: 'intent', decision: 'allow', outcome: null });
      return { blocked: true };
    });
    await (await world.node()).work();
    expect(await actOf(runId)).toMatchObject({ status: 'done', result: { blocked: true } });
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test.each([
    ['look_up', {}],
    ['put_ticket', { title: 'x' }],
  ])('R4: %s, which is repeatable, is repeated after a crash with the same idempotency key', async (tool, args) => {
    const runId = await crashAfterEffect(tool, args);
    await (await world.node()).work();
    const made = world.tools.callsOf(tool);
    expect(made).toHaveLength(2);
    expect(new Set(made.map(({ key }) => key)).size).toBe(1);
    expect(await actOf(runId)).toMatchObject({ status: 'done', attempts: 2 });
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R4: a destructive call with an intent and no result pauses for a person', async () => {
    const runId = await crashAfterEffect('block_ip', ip);
    await (await world.node()).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'uncertain_outcome' });
    expect(await world.approvals(runId)).toMatchObject([{ kind: 'uncertain', status: 'pending', tool: 'block_ip', args: ip, rule: 'R4.uncertain_outcome' }]);
    const audit = await world.audit(runId);
    expect(audit.filter((row) => row.action_type === 'tool_call' && row.outcome === 'unknown')).toHaveLength(1);
  });

  test.each<[ApprovalVerdict, number, Partial<ActStep>]>([
    ['retry', 2, { status: 'done', attempts: 2, result: { ok: true } }],
    ['mark_done', 1, { status: 'done', attempts: 1, result: { marked_done_by: 'bob', comment: 'seen' } }],
    ['fail', 1, { status: 'failed', attempts: 1, error: { code: 'tool_failed', message: 'bob says the call did not succeed: seen' } }],
  ])('R4: the person may say %s', async (verdict, effects, act) => {
    const runId = await crashAfterEffect('block_ip', ip);
    await (await world.node()).work();
    const [question] = await world.approvals(runId);
    await expect(world.decide(question?.id ?? '', 'approve')).rejects.toMatchObject({ code: 'invalid_input' });
    await world.decide(question?.id ?? '', verdict, { comment: 'seen' });
    await (await world.node()).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(effects);
    expect(await actOf(runId)).toMatchObject(act);
    expect((await actOf(runId)).finishedAt).not.toBeNull();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R4: a retry is put to the policy once more, and the requester may not order it where he may not approve', async () => {
    world.policy.decide = gateTools(['block_ip'], { approvers: ['*'], forbidRequester: true });
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    await (await world.node()).work();
    await world.decide((await world.approvals(runId))[0]?.id ?? '', 'approve');
    await dieAtCommit(runId, 2, 'before');
    await (await world.node()).work();
    const question = (await world.approvals(runId)).find((approval) => approval.kind === 'uncertain');
    await expect(world.decide(question?.id ?? '', 'retry', { by: ALICE })).rejects.toMatchObject({ code: 'permission_denied' });
    await world.decide(question?.id ?? '', 'retry');
    world.policy.decide = (request) => (request.kind === 'act' ? deny('change-freeze') : allow());
    await (await world.node()).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await actOf(runId)).toMatchObject({ status: 'denied', error: { code: 'policy_denied' } });
  });

  test('R4: a question about an outcome that nobody answers expires, the call is not repeated and stays uncertain', async () => {
    const runId = await crashAfterEffect('block_ip', ip);
    await (await world.node()).work();
    await world.pool.query(`UPDATE approvals SET expires_at = now() - interval '1 s'`);
    await world.pool.query('UPDATE runs SET wake_at = now()');
    await (await world.node()).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await actOf(runId)).toMatchObject({ status: 'failed', error: { code: 'approval_expired' } });
    expect(await world.approvals(runId)).toMatchObject([{ status: 'expired' }]);
    expect((await world.audit(runId)).filter((row) => row.outcome === 'unknown')).toHaveLength(2);
  });

  test('R4: a destructive call that times out is asked about, and the question does not get lost beside other calls', async () => {
    world.tools.on('slow_block', () => new Promise(() => undefined));
    world.think = script(calls(call('slow_block'), call('look_up'), call('put_ticket')), answer('finished'));
    const runId = await world.accept();
    await (await world.node()).work();
    expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'uncertain_outcome' });
    expect(world.tools.calls.map(({ tool }) => tool)).toEqual(['slow_block', 'look_up', 'put_ticket']);
    const [question] = await world.approvals(runId);
    expect(question?.reason).toContain('did not answer within 30 ms');
    await world.decide(question?.id ?? '', 'mark_done');
    await (await world.node()).work();
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
    expect(world.tools.callsOf('slow_block')).toHaveLength(1);
  });

  test(`R4: a repeatable call that never ends is tried ${LIMITS.toolAttempts} times and then failed`, async () => {
    world.tools.on('slow_read', () => new Promise(() => undefined));
    world.think = script(calls(call('slow_read')), answer('finished'));
    const runId = await world.accept();
    await (await world.node()).work();
    expect(world.tools.callsOf('slow_read')).toHaveLength(LIMITS.toolAttempts);
    expect(await actOf(runId)).toMatchObject({ status: 'failed', attempts: LIMITS.toolAttempts, error: { code: 'tool_timeout' } });
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test('R4: a tool that says it failed has failed; a tool of which nobody knows has an unknown outcome', async () => {
    world.tools.on('block_ip', () => Promise.reject(new PlatformError('tool_failed', 'No such address: call 13800138000.')));
    world.tools.on('wipe_host', () => Promise.reject(new PlatformError('tool_unavailable', 'The way back broke.')));
    world.think = script(calls(call('block_ip', ip), call('wipe_host')), answer('finished'));
    const runId = await world.accept();
    await (await world.node()).work();
    const acts = (await world.steps(runId)).filter((step): step is ActStep => step.kind === 'act');
    expect(acts.map(({ status }) => status)).toEqual(['failed', 'waiting_resolution']);
    expect(acts[0]?.error).toEqual({ code: 'tool_failed', message: 'No such address: call [masked:phone].' });
  });

  test('R4: what breaks inside the platform after the effect leaves the outcome unknown, and is not repeated', async () => {
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    const broken = await world.node({ text: { mask: (value) => { if (JSON.stringify(value).includes('"ok"')) throw new Error('broken'); return value; }, looksLikeInjection: () => false } });
    await broken.work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'paused', pauseReason: 'uncertain_outcome' });
  });

  test('R4: when the store refuses the intent, the effect does not happen and the run ends', async () => {
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    let refused = false;
    const commitRun: RunStore['commitRun'] = (commit: RunCommit) => {
      if (commit.steps.some((step) => step.kind === 'act' && step.status === 'started') && !refused) {
        refused = true;
        return Promise.reject(new PlatformError('internal', 'The database refused a statement.'));
      }
      return world.store.commitRun(commit);
    };
    await (await world.node({ store: { ...world.store, commitRun } })).work();
    expect(refused).toBe(true);
    expect(world.tools.calls).toEqual([]);
    expect(await world.run(runId)).toMatchObject({ status: 'failed', error: { code: 'internal' } });
  });

  test('R4: when the store refuses the outcome of an effect, the run says that the effect is uncertain', async () => {
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    const commitRun: RunStore['commitRun'] = (commit) =>
      commit.steps.some((step) => step.kind === 'act' && step.status === 'done') ? Promise.reject(new PlatformError('internal', 'refused')) : world.store.commitRun(commit);
    await (await world.node({ store: { ...world.store, commitRun } })).work();
    expect(await world.run(runId)).toMatchObject({ status: 'failed' });
    expect((await world.events(runId)).at(-1)).toMatchObject({ type: 'run_failed', data: { uncertain: [{ tool: 'block_ip' }] } });
    expect(await actOf(runId)).toMatchObject({ status: 'failed', error: { code: 'internal' } });
    expect((await world.audit(runId)).some((row) => row.action_type === 'tool_call' && row.outcome === 'unknown')).toBe(true);
  });

  test('R4: a commit whose answer is lost again and again is sent again, and what was done is not lost', async () => {
    world.think = script(calls(call('block_ip', ip)), answer('finished'));
    const runId = await world.accept();
    let lost = 0;
    const commitRun: RunStore['commitRun'] = async (commit) => {
      lost += 1;
      const result = await world.store.commitRun(commit);
      if (lost % 2 === 1) throw new PlatformError('unavailable', 'The answer was lost.');
      return result;
    };
    const clock = { ...world.deps.clock, sleep: async () => undefined };
    await (await world.node({ clock, store: { ...world.store, commitRun } })).work();
    expect(world.tools.callsOf('block_ip')).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  describe.each(['before', 'after'] as const)('R4: a node that dies %s a commit', (moment) => {
    test.each([1, 2, 3, 4, 5])('R4: number %i loses nothing and repeats no destructive call unasked', async (n) => {
      world.policy.decide = () => allow();
      world.think = script(calls(call('look_up'), call('block_ip', ip)), answer('finished'));
      const runId = await world.accept();
      await dieAtCommit(runId, n, moment);
      const node: TestNode = await world.node();
      await node.work();
      if ((await world.run(runId)).status === 'paused') {
        const [question] = await world.approvals(runId);
        // The person looks at the firewall: was the address blocked or not?
        await world.decide(question?.id ?? '', world.tools.callsOf('block_ip').length > 0 ? 'mark_done' : 'retry');
        await node.work();
      }
      expect(await world.run(runId)).toMatchObject({ status: 'completed', output: 'finished' });
      expect(world.tools.callsOf('block_ip')).toHaveLength(1);
      expect((await world.events(runId)).map(({ seq }) => seq)).toEqual((await world.events(runId)).map((_, index) => index + 1));
    });
  });
});
