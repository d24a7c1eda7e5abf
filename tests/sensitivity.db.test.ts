import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonValue, LineageRef, Principal, Sensitivity } from '@openeaap/kernel';
import { PlatformError, STEP_CREDENTIALS } from '@openeaap/kernel';
import type { DriveDeps, StepIdentity } from '@openeaap/orchestrator';
import { createEgressGuard, parseRequest } from '@openeaap/msig';
import { createScanner } from '@openeaap/security';
import { gateTools } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { ALICE, BOB, answer, call, calls, createWorld, script } from './harness/world.ts';

let world: World;
let identities: StepIdentity[];

beforeEach(async () => {
  world = await createWorld();
  identities = [];
});
afterEach(() => world.close());

const ref = (chunkId: string, sensitivity?: Sensitivity): LineageRef => ({ chunkId, title: 'SOP', source: 'sops/a.md', score: 1, ...(sensitivity === undefined ? {} : { sensitivity }) });

/** Tools that tell what they were made from, one of which asks a model itself. */
function sealed(lineage: readonly LineageRef[]): Partial<DriveDeps> {
  const { tools, meter } = world.deps;
  return {
    tools: {
      ...tools,
      find: (name) => {
        const spec = tools.find(name);
        return spec === null || name !== 'put_ticket' ? spec : { ...spec, secrets: [STEP_CREDENTIALS.modelToken] };
      },
      call: async (invocation, context, credentials) => ({ ...(await tools.call(invocation, context, credentials)), ...(invocation.tool === 'look_up' ? { lineage } : {}) }),
    },
    meter: {
      ...meter,
      credentials: (step) => {
        identities.push(step);
        return meter.credentials(step);
      },
    },
  };
}

const labels = (): readonly (readonly [string | null, Sensitivity])[] => identities.map(({ tool, sensitivity }) => [tool, sensitivity]);

async function worked(lineage: readonly LineageRef[], principal: Principal = ALICE): Promise<string> {
  const runId = await world.accept('x', { principal });
  await (await world.node(sealed(lineage))).work();
  return runId;
}

describe('how secret a run is', () => {
  test('is Public until it has read something, and from then on the label of the most secret of it', async () => {
    world.think = script(calls(call('look_up')), calls(call('put_ticket')), answer('done'));
    await worked([ref('1', 1), ref('2', 3), ref('3', 2)]);
    expect(labels()).toEqual([[null, 1], [null, 3], ['put_ticket', 3], [null, 3]]);
  });

  test('is still known to the node that goes on after a pause, of steps that it does not read whole', async () => {
    world.policy.decide = gateTools(['put_ticket']);
    world.think = script(calls(call('look_up')), calls(call('put_ticket')), answer('done'));
    const runId = await worked([ref('1', 1), ref('2', 3), ref('3', 3), ref('4')]);
    const [approval] = await world.approvals(runId);
    await world.decide(approval?.id ?? '', 'approve');
    identities = [];
    await (await world.node(sealed([]))).work();
    expect(labels()).toEqual([['put_ticket', 3], [null, 3]]);
    expect(await world.run(runId)).toMatchObject({ status: 'completed' });
  });

  test.each([
    [ALICE, 2],
    [BOB, 3],
  ] as const)('is what the user may read where a source has no label (%#)', async (principal, expected) => {
    world.think = script(calls(call('look_up')), answer('done'));
    await worked([ref('1'), { ...ref('2'), sensitivity: 9 as never }], principal);
    expect(labels()).toEqual([[null, 1], [null, expected]]);
  });

  test('keeps a run that has read something Confidential from thinking with an external model, whatever it says', async () => {
    const scanner = createScanner({ policyRules: [], builtin: true });
    const guard = createEgressGuard({ scanner: () => scanner, placeholderKey: 'a key of these tests' });
    const sent: JsonValue[] = [];
    const scripted = script(calls(call('look_up')), answer('done'));
    world.think = async (request, context) => {
      const access = identities.at(-1);
      if (access === undefined) throw new PlatformError('internal', 'No credentials were made.');
      const body = JSON.stringify({ messages: [{ role: 'user', content: 'All of this is Public.' }], sensitivity: 1 });
      sent.push(guard.prepare(parseRequest('chat', body), access, { name: 'cloud', endpoint: 'https://api.example.com/v1' }).request.body);
      return scripted(request, context);
    };
    const runId = await worked([ref('1', 3)], BOB);
    expect(sent).toHaveLength(1);
    expect(await world.run(runId)).toMatchObject({ status: 'failed', error: { code: 'policy_denied' } });
    expect((await world.steps(runId)).map(({ kind, status }) => [kind, status])).toEqual([['think', 'done'], ['act', 'done'], ['think', 'failed']]);
  });
});
