import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ActStep, ApprovalVerdict } from '@openeaap/kernel';
import { PlatformError, TERMINAL, toPlatformError } from '@openeaap/kernel';
import type { RunStore } from '@openeaap/orchestrator';
import { allow, gate } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { answer, call, calls, createWorld, script } from './harness/world.ts';

/** Mulberry32: a seed gives the same walk again. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const RUNS_PER_SEED = 10;
const TOOLS = ['look_up', 'put_ticket', 'block_ip', 'wipe_host'] as const;

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

interface Walk {
  readonly runId: string;
  /** Steps for which a person said "retry": each allows one more effect. */
  readonly retries: Map<number, number>;
}

/** A node whose connection dies at one of its commits, before or after the database has it, and with it the node. */
async function unluckyNode(random: (below: number) => number): Promise<void> {
  const stop = new AbortController();
  const fatal = 1 + random(6);
  let seen = 0;
  const commitRun: RunStore['commitRun'] = async (commit) => {
    seen += 1;
    if (seen < fatal) return world.store.commitRun(commit);
    if (seen === fatal && random(2) === 0) await world.store.commitRun(commit);
    stop.abort();
    throw new PlatformError('unavailable', 'The node is dead.');
  };
  const node = await world.node({ store: { ...world.store, commitRun } });
  for (const claimed of await node.claim([], 1 + random(4))) {
    await node.drive(claimed, { stop: stop.signal });
  }
  await node.die();
}

/** Somebody decides about one open approval, or its time runs out, or the run is cancelled. */
async function somebodyActs(walk: Walk, random: (below: number) => number): Promise<void> {
  const open = (await world.approvals(walk.runId)).filter(({ status }) => status === 'pending');
  const chosen = open[random(Math.max(1, open.length))];
  if (chosen === undefined) return;
  if (random(6) === 0) {
    await world.pool.query(`WITH a AS (UPDATE approvals SET expires_at = now() - interval '1 s' WHERE id = $1 RETURNING run_id) UPDATE runs SET wake_at = now() FROM a WHERE runs.id = a.run_id AND status = 'paused'`, [chosen.id]);
    return;
  }
  const verdicts: readonly ApprovalVerdict[] = chosen.kind === 'gate' ? ['approve', 'edit', 'reject'] : ['retry', 'mark_done', 'fail'];
  const verdict = verdicts[random(3)] ?? 'fail';
  const decided = await world.decide(chosen.id, verdict, { comment: 'because', ...(verdict === 'edit' ? { args: { ip: '10.1.1.1' } } : {}) }).catch((thrown: unknown) => {
    // Its time had run out a turn before.
    if (toPlatformError(thrown).details['status'] !== 'expired') throw thrown;
    return null;
  });
  if (decided !== null && verdict === 'retry') walk.retries.set(chosen.stepNo, (walk.retries.get(chosen.stepNo) ?? 0) + 1);
}

/** What must never be said of an act that reached its tool `effects` times. */
function wrongs(act: ActStep, effects: number, retries: number): readonly string[] {
  const destructive = act.tool === 'block_ip' || act.tool === 'wipe_host';
  const refused = act.status === 'rejected' || act.status === 'expired' || act.status === 'denied';
  const says = `${act.tool} at step ${act.no}, ${act.status}, ${effects} effects, ${retries} retries:`;
  return [
    ...(destructive && effects > 1 + retries ? [`${says} a destructive call was made twice unasked`] : []),
    ...(refused && effects > 0 ? [`${says} a refused call was made`] : []),
    ...(act.status === 'done' && effects === 0 && !('marked_done_by' in (act.result as object)) ? [`${says} done, and never made`] : []),
  ];
}

describe('the whole, at random', () => {
  test.each([1, 2, 3, 4, 5, 6])('R2, R3, R4, R6, R8: seed %i: every run ends, no gap, no destructive effect twice unasked, the chain holds', async (seed) => {
    const random = createRandom(seed);
    const walks: Walk[] = [];
    const indexOf = (runId: string): number => walks.findIndex((walk) => walk.runId === runId);
    world.tools.calls.length = 0;
    for (const tool of TOOLS) {
      world.tools.on(tool, async ({ runId, idempotencyKey }) => {
        const tries = world.tools.calls.filter(({ key }) => key === idempotencyKey).length;
        const fate = createRandom(seed * 10_007 + indexOf(runId) * 101 + Number(idempotencyKey.split(':')[1]) * 11 + tries)(8);
        if (fate === 0) throw new PlatformError('tool_failed', 'It says no.');
        if (fate === 1) throw new PlatformError('tool_timeout', 'It says nothing.');
        return { ok: true };
      });
    }
    world.policy.decide = (request) => (request.kind === 'act' && request.tool.effect === 'destructive' && indexOf(request.run.id) % 2 === 0 ? gate() : allow());
    const plans = new Map<string, ReturnType<typeof script>>();
    world.think = (request, context) => (plans.get(request.runId) ?? script(answer('none')))(request, context);
    for (let n = 0; n < RUNS_PER_SEED; n += 1) {
      const runId = await world.accept(`seed ${seed} run ${n}`);
      const rounds = Array.from({ length: random(3) + 1 }, () =>
        calls(...Array.from({ length: 1 + random(3) }, (_, k) => call(TOOLS[random(TOOLS.length)] ?? 'look_up', { ip: '10.0.0.1' }, `c${k}`))),
      );
      plans.set(runId, script(...rounds, answer('finished')));
      walks.push({ runId, retries: new Map() });
    }
    const isOver = async (): Promise<boolean> => (await Promise.all(walks.map(({ runId }) => world.run(runId)))).every(({ status }) => TERMINAL.has(status));
    for (let turn = 0; turn < 400 && !(await isOver()); turn += 1) {
      if (turn < 15 && random(2) === 0) await unluckyNode(random);
      else await (await world.node()).work();
      for (const walk of walks) if (random(2) === 0) await somebodyActs(walk, random);
    }
    for (const { runId, retries } of walks) {
      const run = await world.run(runId);
      expect(run.status).toBe('completed');
      const events = await world.events(runId);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
      expect(events).toHaveLength(run.lastSeq);
      const acts = (await world.steps(runId)).filter((step): step is ActStep => step.kind === 'act');
      expect(acts.flatMap((act) => wrongs(act, world.tools.calls.filter(({ key }) => key === `${runId}:${act.no}`).length, retries.get(act.no) ?? 0))).toEqual([]);
    }
    expect(await world.verify()).toMatchObject({ ok: true });
  });
});
