import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cancelRun } from '@openeaap/orchestrator';
import { gateTools } from '../harness/scripted-policy.ts';
import type { TestNode, World } from '../harness/world.ts';
import { TENANT, call, calls, createWorld, script } from '../harness/world.ts';

let world: World;
let node: TestNode;

beforeEach(async () => {
  world = await createWorld();
  node = await world.node();
  world.policy.decide = gateTools(['block_ip']);
});
afterEach(() => world.close());

describe('a run that is cancelled while it thinks of a call that needs approval', () => {
  test('leaves no approval behind that waits for a person and that nobody can decide', async () => {
    const runId = await world.accept();
    // Another node has taken the cancellation: this one hears of it with the commit of the think alone.
    const propose = script(calls(call('block_ip', { ip: '45.1.1.1' })));
    world.think = async (request, context) => {
      await cancelRun({ tenantId: TENANT, runId, by: 'alice', reason: 'enough' }, world.deps);
      return propose(request, context);
    };
    await node.work();
    expect(await world.run(runId)).toMatchObject({ status: 'cancelled' });
    expect((await world.approvals(runId)).map(({ status }) => status)).not.toContain('pending');
  });
});
