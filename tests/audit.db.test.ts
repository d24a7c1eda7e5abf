import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allow, deny, gateTools } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { answer, call, calls, createWorld, script } from './harness/world.ts';

let world: World;

beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

async function worked(): Promise<string> {
  const runId = await world.accept();
  await (await world.node()).work();
  return runId;
}

const shape = async (runId: string): Promise<readonly string[]> =>
  (await world.audit(runId)).map((row) => [row.action_type, row.phase, row.step_no ?? '-', row.decision ?? '-', row.outcome ?? '-'].join(' '));

describe('R10: the audit', () => {
  test('R10: every think, call and end has its intent and its outcome, in order', async () => {
    world.think = script(calls(call('look_up')), answer('finished'));
    expect(await shape(await worked())).toEqual([
      'llm_invoke intent 1 allow -',
      'llm_invoke outcome 1 - ok',
      'tool_call intent 2 allow -',
      'tool_call outcome 2 - ok',
      'llm_invoke intent 3 allow -',
      'llm_invoke outcome 3 - ok',
      'run_status outcome - - completed',
    ]);
  });

  test('R10: what was decided and what came of it are separate columns: no intent has an outcome, no outcome has a decision', async () => {
    world.policy.decide = gateTools(['block_ip']);
    world.think = script(calls(call('block_ip', { ip: '10.0.0.1' }), call('look_up'), call('nonsense')), answer('finished'));
    const runId = await worked();
    const [approval] = await world.approvals(runId);
    await world.decide(approval?.id ?? '', 'approve');
    await (await world.node()).work();
    const rows = await world.audit(runId);
    expect(rows.filter((row) => row.phase === 'intent' && row.outcome !== null)).toEqual([]);
    expect(rows.filter((row) => row.phase === 'outcome' && row.decision !== null)).toEqual([]);
    expect((await shape(runId)).filter((row) => row.includes(' 2 '))).toEqual([
      'tool_call intent 2 require_approval -',
      'approval_request event 2 require_approval -',
      'approval_grant event 2 approved -',
      'tool_call intent 2 require_approval -',
      'tool_call outcome 2 - ok',
    ]);
    const grant = (await world.audit(runId)).find((row) => row.action_type === 'approval_grant');
    expect(grant).toMatchObject({ actor: 'user:bob', metadata: { verdict: 'approve', call_hash: approval?.callHash } });
  });

  test('R10: a denied call has an intent that says so and no outcome of ok', async () => {
    world.policy.decide = (request) => (request.kind === 'act' ? deny('rbac') : allow());
    world.think = script(calls(call('look_up')), answer('finished'));
    const rows = (await world.audit(await worked())).filter((row) => row.action_type === 'tool_call');
    expect(rows).toMatchObject([{ phase: 'intent', decision: 'deny', outcome: null, rule: 'rbac' }]);
  });

  test('R10: nothing personal or secret of arguments, results, thoughts, comments and errors is in the audit', async () => {
    const secrets = ['13800138000', 'alice@corp.example', 'hunter2'];
    world.policy.decide = gateTools(['put_ticket']);
    world.tools.on('look_up', async () => ({ owner: 'alice@corp.example', phone: '13800138000', password: 'hunter2' }));
    world.think = script(
      { thought: 'I write to alice@corp.example', calls: [call('look_up', { phone: '13800138000', password: 'hunter2' }), call('put_ticket', { text: 'mail alice@corp.example' })] },
      answer('call 13800138000'),
    );
    const runId = await world.accept({ text: 'call 13800138000', password: 'hunter2' });
    const node = await world.node();
    await node.work();
    const [approval] = await world.approvals(runId);
    await world.decide(approval?.id ?? '', 'edit', { args: { text: 'mail alice@corp.example', password: 'hunter2' }, comment: 'ask 13800138000' });
    await node.work();
    const rows = await world.audit(runId);
    expect(rows.length).toBeGreaterThan(8);
    for (const secret of secrets) expect(JSON.stringify(rows)).not.toContain(secret);
    const stored = JSON.stringify([(await world.steps(runId)).map((step) => (step.kind === 'act' ? step.result : step.proposal?.thought)), await world.run(runId)]);
    for (const secret of secrets) expect(stored).not.toContain(secret);
  });

  test('R10: rows cannot be changed, deleted or cut off', async () => {
    await worked();
    for (const statement of [`UPDATE audit_logs SET outcome = 'ok'`, 'DELETE FROM audit_logs', 'TRUNCATE audit_logs']) await expect(world.pool.query(statement)).rejects.toMatchObject({ code: 'OEA02' });
  });
});
