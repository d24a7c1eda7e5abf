import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Schedule, ScheduleSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, randomIds, systemClock } from '@openeaap/kernel';
import { chainRows, createToAuditRow, genesisHash } from '@openeaap/audit';
import type { Scheduler, SchedulerDeps, ScheduleStore } from '@openeaap/orchestrator';
import { acceptRun, nextFire, startScheduler } from '@openeaap/orchestrator';
import { createMasker } from '@openeaap/security';
import type { CommitLane } from '@openeaap/store';
import { claimDueSchedules, createCommitLane, createSchedule, deleteSchedule, findSchedule, findUser, putUser, setAgentStatus, settleSchedule, updateSchedule } from '@openeaap/store';
import type { ManualClock } from './harness/manual-clock.ts';
import { createManualClock } from './harness/manual-clock.ts';
import { deny } from './harness/scripted-policy.ts';
import type { World } from './harness/world.ts';
import { ALICE, TENANT, createWorld } from './harness/world.ts';

const MINUTE_MS = 60_000;
const LEASE_MS = 15_000;
const START = '2026-11-24T00:00:30Z';

let world: World;
let clock: ManualClock;
let schedulers: Scheduler[];
let lanes: CommitLane[];

beforeEach(async () => {
  world = await createWorld();
  clock = createManualClock(START);
  schedulers = [];
  lanes = [];
  await putUser(world.pool, ALICE);
});
afterEach(async () => {
  for (const scheduler of schedulers) await scheduler.stop();
  for (const lane of lanes) await lane.close();
  await world.close();
});

/** A node's scheduler as the platform has it, with a writer of audit rows of its own; its clock and the database's are the test's. */
function startLoop(change: (deps: SchedulerDeps) => Partial<Omit<SchedulerDeps, 'store'>> & { readonly store?: Partial<ScheduleStore> } = () => ({}), leaseMs = LEASE_MS): Scheduler {
  const masker = createMasker({ policyRules: [], builtin: true, hashKey: 'a key of the tests alone' });
  const lane = createCommitLane({
    pool: world.pool,
    chainId: randomIds.newId(),
    toAuditRow: createToAuditRow({ masker: () => masker, clock: systemClock, ids: randomIds }),
    chain: (head, rows) => chainRows(head, rows),
    genesis: genesisHash,
    clock: systemClock,
    retryMs: { first: 5, longest: 20 },
  });
  lanes.push(lane);
  const usual: SchedulerDeps = {
    store: {
      claimDue: (claim) => claimDueSchedules(world.pool, { ...claim, now: clock.now() }),
      findUser: (tenantId, userId) => findUser(world.pool, tenantId, userId),
      getRun: world.store.getRun,
      settle: async (settlement) => (await lane.withAudit(settlement.audit, (db, rows) => settleSchedule(db, settlement, rows))) !== null,
    },
    acceptRun: (request) => acceptRun(request, world.deps),
    wakeNode: () => undefined,
    observe: world.deps.observe,
    clock,
    ids: randomIds,
    log: world.deps.log,
  };
  const changed = change(usual);
  const scheduler = startScheduler({ ...usual, ...changed, store: { ...usual.store, ...changed.store } }, { leaseMs, backstopMs: MINUTE_MS });
  schedulers.push(scheduler);
  return scheduler;
}

async function schedule(name: string, spec: Partial<ScheduleSpec> = {}): Promise<Schedule> {
  const total: ScheduleSpec = { name, cron: '*/5 * * * *', timeZone: 'Asia/Shanghai', agentName: 'agent', agentVersion: null, input: `task of ${name}`, userId: 'alice', priority: 'normal', overlap: 'allow', catchUp: 'last', paused: false, ...spec };
  const made = await createSchedule(world.pool, { ...total, tenantId: TENANT, id: randomIds.newId(), nextAt: nextFire(total, clock.now()), createdBy: 'alice' });
  if (made === null) throw new Error('the schedule was not made');
  return made;
}

const read = async (made: Schedule): Promise<Schedule> => {
  const found = await findSchedule(world.pool, TENANT, { id: made.id });
  if (found === null) throw new Error('the schedule is gone');
  return found;
};

/** Times of the fires whose runs there are, in order. */
async function fires(made: Schedule): Promise<readonly string[]> {
  const { rows } = await world.pool.query<{ idempotency_key: string }>('SELECT idempotency_key FROM runs WHERE source = $1 ORDER BY idempotency_key', [`schedule:${made.name}`]);
  return rows.map((row) => row.idempotency_key.replace(`schedule:${made.id}:`, '').replace('2026-11-24T', '').replace(':00.000Z', ''));
}

async function audited(made: Schedule): Promise<readonly string[]> {
  const { rows } = await world.pool.query<{ outcome: string }>(`SELECT outcome FROM audit_logs WHERE action_type = 'schedule_fire' AND metadata ->> 'schedule_id' = $1 ORDER BY metadata ->> 'fire_at', outcome DESC`, [made.id]);
  return rows.map((row) => row.outcome);
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void; readonly reject: (error: Error) => void } {
  let settle: { readonly resolve: (value: T) => void; readonly reject: (error: Error) => void } = { resolve: () => undefined, reject: () => undefined };
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, resolve: (value) => settle.resolve(value), reject: (error) => settle.reject(error) };
}

/** Time passes minute by minute, and after each every loop has done what there was to do. */
async function pass(minutes: number, loops = 1): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    clock.advance(MINUTE_MS);
    await clock.asleep(loops);
  }
}

describe('S1, S2: a fire starts one run across all nodes', () => {
  test.each([
    ['with claims', LEASE_MS],
    ['with claims that hold nobody off', 0],
  ])('eight loops, ten schedules, an hour, %s: each fire has one run and one audit row', async (_what, leaseMs) => {
    const made = await Promise.all(Array.from({ length: 10 }, (_none, index) => schedule(`s${index}`, { cron: index % 2 === 0 ? '*/5 * * * *' : '*/15 * * * *', priority: 'high' })));
    for (let loop = 0; loop < 8; loop += 1) startLoop(undefined, leaseMs);
    await clock.asleep(8);
    await pass(60, 8);
    const every5 = Array.from({ length: 12 }, (_none, index) => (index === 11 ? '01:00' : `00:${String(5 * (index + 1)).padStart(2, '0')}`));
    const every15 = ['00:15', '00:30', '00:45', '01:00'];
    for (const [index, one] of made.entries()) {
      const expected = index % 2 === 0 ? every5 : every15;
      expect(await fires(one)).toEqual(expected);
      expect(await audited(one)).toEqual(expected.map(() => 'started'));
      expect(await read(one)).toMatchObject({ nextAt: new Date(index % 2 === 0 ? '2026-11-24T01:05:00Z' : '2026-11-24T01:15:00Z'), lastAt: new Date('2026-11-24T01:00:00Z'), lastOutcome: 'started', lastError: null });
    }
    expect(await world.count('SELECT count(*) AS n FROM runs WHERE priority = 2')).toBe(5 * 12 + 5 * 4);
    expect(world.observed.filter((seen) => seen.kind === 'schedule_fire')).toHaveLength(80);
  });

  test('killed between the start and the record: another node finds the run and goes on; nothing is lost, nothing doubled', async () => {
    const made = await schedule('s');
    const wakeUp = deferred<void>();
    const isOver = deferred<boolean>();
    const hang = deferred<void>();
    startLoop(({ store }) => ({
      store: {
        settle: async (settlement) => {
          hang.resolve();
          await wakeUp.promise;
          const settled = await store.settle(settlement);
          isOver.resolve(settled);
          return settled;
        },
      },
    }));
    await clock.asleep(1);
    clock.advance(5 * MINUTE_MS);
    await hang.promise;
    expect([await fires(made), (await read(made)).nextAt], 'the run is there, the schedule does not know').toEqual([['00:05'], new Date('2026-11-24T00:05:00Z')]);

    startLoop();
    await clock.asleep(1);
    expect(await audited(made), 'the claim of the first still holds').toEqual([]);
    clock.advance(LEASE_MS);
    await clock.asleep(1);
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started']]);
    expect(await read(made)).toMatchObject({ nextAt: new Date('2026-11-24T00:10:00Z'), lastOutcome: 'started' });

    wakeUp.resolve();
    expect(await isOver.promise, 'the first was not dead, only slow: it settles nothing').toBe(false);
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started']]);
    await clock.asleep(2);
    await pass(5, 2);
    expect(await fires(made)).toEqual(['00:05', '00:10']);
  });

  test('killed before the start: the fire is made when the claim is over', async () => {
    const made = await schedule('s');
    const hang = deferred<void>();
    const never = deferred<never>();
    startLoop(() => ({
      acceptRun: () => {
        hang.resolve();
        return never.promise;
      },
    }));
    await clock.asleep(1);
    clock.advance(5 * MINUTE_MS);
    await hang.promise;
    startLoop();
    await clock.asleep(1);
    clock.advance(LEASE_MS);
    await clock.asleep(1);
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started']]);
    never.reject(new PlatformError('unavailable', 'dead'));
    await clock.asleep(2);
  });

  test('the answer to the record is lost: the fire is not made again', async () => {
    const made = await schedule('s');
    let answers = 0;
    startLoop(({ store }) => ({
      store: {
        settle: async (settlement) => {
          const settled = await store.settle(settlement);
          answers += 1;
          if (answers === 1) throw new PlatformError('unavailable', 'the connection broke');
          return settled;
        },
      },
    }));
    await clock.asleep(1);
    await pass(11);
    expect([await fires(made), await audited(made)]).toEqual([['00:05', '00:10'], ['started', 'started']]);
  });

  test('the database is away at the start: the fire is made later, under the same key', async () => {
    const made = await schedule('s');
    let tries = 0;
    startLoop((deps) => ({
      acceptRun: (request) => {
        tries += 1;
        return tries === 1 ? Promise.reject(new PlatformError('unavailable', 'away')) : deps.acceptRun(request);
      },
    }));
    await clock.asleep(1);
    await pass(5);
    expect(await fires(made)).toEqual([]);
    await pass(1);
    expect([await fires(made), await audited(made), (await read(made)).failures]).toEqual([['00:05'], ['started'], 0]);
  });
});

describe('S3: a person changes the schedule while a fire is under way', () => {
  /** What the person does comes between the start of the run and its record. */
  const between = (act: () => Promise<unknown>): void => {
    let isDone = false;
    startLoop(({ store }) => ({
      store: {
        settle: async (settlement) => {
          if (!isDone) await act();
          isDone = true;
          return store.settle(settlement);
        },
      },
    }));
  };

  test('another cron: the run is on record, the new time stays, and nothing is fired twice', async () => {
    const made = await schedule('s');
    const nextAt = new Date('2026-11-24T00:07:00Z');
    between(async () => updateSchedule(world.pool, { schedule: { ...(await read(made)), cron: '7 * * * *', nextAt }, moves: true }));
    await clock.asleep(1);
    await pass(5);
    expect(await read(made)).toMatchObject({ nextAt, cron: '7 * * * *', lastOutcome: 'started', lastAt: new Date('2026-11-24T00:05:00Z') });
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started']]);
    await pass(3);
    expect([await fires(made), await audited(made)]).toEqual([['00:05', '00:07'], ['started', 'started']]);
  });

  test('another input: the fire is recorded as usual and the next one has it', async () => {
    const made = await schedule('s');
    between(async () => updateSchedule(world.pool, { schedule: { ...(await read(made)), input: 'new' }, moves: false }));
    await clock.asleep(1);
    await pass(10);
    const { rows } = await world.pool.query<{ input_payload: unknown }>('SELECT input_payload FROM runs ORDER BY idempotency_key');
    expect(rows.map((row) => row.input_payload)).toEqual(['task of s', 'new']);
    expect(await audited(made)).toEqual(['started', 'started']);
  });

  test('deletes it: the run that was started has its audit row', async () => {
    const made = await schedule('s');
    between(() => deleteSchedule(world.pool, TENANT, made.id));
    await clock.asleep(1);
    await pass(10);
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started']]);
  });

  test('a change that was made from an old look is refused', async () => {
    const made = await schedule('s');
    expect(await updateSchedule(world.pool, { schedule: { ...made, input: 'a' }, moves: false })).toMatchObject({ input: 'a', revision: 2 });
    expect(await updateSchedule(world.pool, { schedule: { ...made, input: 'b' }, moves: false })).toBeNull();
    await schedule('taken');
    await expect(updateSchedule(world.pool, { schedule: { ...(await read(made)), name: 'taken' }, moves: false })).rejects.toMatchObject({ code: 'conflict', details: { field: 'name' } });
  });
});

describe('overlap', () => {
  test('skip: a fire starts nothing while the run before has not ended, and says so', async () => {
    const made = await schedule('s', { overlap: 'skip' });
    const node = await world.node();
    startLoop();
    await clock.asleep(1);
    await pass(10);
    expect([await fires(made), await audited(made)]).toEqual([['00:05'], ['started', 'skipped']]);
    expect(await read(made)).toMatchObject({ lastOutcome: 'skipped', failures: 0, lastAt: new Date('2026-11-24T00:10:00Z') });
    await node.work();
    await pass(5);
    expect([await fires(made), await audited(made)]).toEqual([['00:05', '00:15'], ['started', 'skipped', 'started']]);
  });

  test('allow: it starts another', async () => {
    const made = await schedule('s', { overlap: 'allow' });
    startLoop();
    await clock.asleep(1);
    await pass(10);
    expect(await fires(made)).toEqual(['00:05', '00:10']);
  });
});

describe('catch-up after all nodes were away', () => {
  test.each([
    ['none', [], ['missed']],
    ['last', ['00:20'], ['started']],
    ['all', ['00:05', '00:10', '00:15', '00:20'], ['started', 'started', 'started', 'started']],
  ] as const)('%s', async (catchUp, expected, rows) => {
    const made = await schedule('s', { catchUp });
    clock.advance(22 * MINUTE_MS);
    for (let loop = 0; loop < 3; loop += 1) startLoop();
    await clock.asleep(3);
    expect([await fires(made), await audited(made)]).toEqual([expected, rows]);
    expect((await read(made)).nextAt).toEqual(new Date('2026-11-24T00:25:00Z'));
    await pass(4, 3);
    expect(await fires(made)).toEqual([...expected, '00:25']);
  });

  test('a schedule that is paused is not caught up with', async () => {
    const made = await schedule('s', { catchUp: 'all' });
    await updateSchedule(world.pool, { schedule: { ...made, paused: true, nextAt: null }, moves: true });
    startLoop();
    await clock.asleep(1);
    await pass(10);
    await updateSchedule(world.pool, { schedule: { ...(await read(made)), paused: false, nextAt: nextFire(made, clock.now()) }, moves: true });
    await pass(5);
    expect(await fires(made)).toEqual(['00:15']);
  });
});

describe('what goes wrong at a fire', () => {
  test('the agent is gone: it is on record, the schedule goes on, and from the third time on it is an alarm', async () => {
    const made = await schedule('s');
    const { rows } = await world.pool.query<{ id: string }>('SELECT id FROM agents');
    const agentId = rows[0]?.id ?? '';
    await setAgentStatus(world.pool, TENANT, agentId, 'deprecated');
    startLoop();
    await clock.asleep(1);
    await pass(10);
    expect(await read(made)).toMatchObject({ lastOutcome: 'failed', lastError: { code: 'not_found', message: expect.stringContaining('agent') }, failures: 2, lastAt: new Date('2026-11-24T00:10:00Z'), lastRunId: null });
    expect(world.logged.filter(({ level }) => level === 'error')).toEqual([]);
    await pass(5);
    expect(await audited(made)).toEqual(['failed', 'failed', 'failed', 'alarm']);
    expect(world.logged.filter(({ level }) => level === 'error')).toMatchObject([{ message: expect.stringContaining('again and again'), fields: { schedule: 's', failures_in_a_row: LIMITS.scheduleAlarmFailures } }]);
    expect(world.observed.filter((seen) => seen.kind === 'schedule_fire' && seen.alarming)).toHaveLength(1);

    await setAgentStatus(world.pool, TENANT, agentId, 'published');
    await pass(5);
    await (await world.node()).work();
    await pass(5);
    expect(await read(made)).toMatchObject({ lastOutcome: 'started', lastError: null, failures: 0 });
    expect(await fires(made)).toEqual(['00:20', '00:25']);
  });

  test('the policy refuses: the runs fail, and that is counted too', async () => {
    const made = await schedule('s');
    const node = await world.node();
    world.policy.decide = () => deny();
    startLoop();
    await clock.asleep(1);
    for (let fire = 0; fire < 4; fire += 1) {
      await pass(5);
      await node.work();
    }
    expect(await fires(made)).toHaveLength(4);
    expect(await read(made)).toMatchObject({ lastOutcome: 'started', failures: 3 });
    expect(await audited(made)).toEqual(['started', 'started', 'started', 'started', 'alarm']);
  });

  test('the input cannot be used: it is on record', async () => {
    const made = await schedule('s');
    await world.pool.query('UPDATE schedules SET input = to_jsonb($1::text)', ['x'.repeat(LIMITS.runInputBytes)]);
    startLoop();
    await clock.asleep(1);
    await pass(5);
    expect(await read(made)).toMatchObject({ lastOutcome: 'failed', lastError: { code: 'payload_too_large' } });
  });

  test('an expression that cannot be read any more stops nothing else, and is not silent', async () => {
    const [broken, whole] = [await schedule('broken'), await schedule('whole')];
    await world.pool.query(`UPDATE schedules SET cron = 'nonsense of old' WHERE name = 'broken'`);
    startLoop();
    await clock.asleep(1);
    await pass(10);
    expect(await fires(whole)).toEqual(['00:05', '00:10']);
    expect(await read(broken)).toMatchObject({ nextAt: null, lastOutcome: 'failed', lastError: { code: 'invalid_input', message: expect.stringContaining('Set `cron` again') } });
    expect(world.logged).toContainEqual(expect.objectContaining({ level: 'error', message: 'a schedule has no next fire' }));
  });

  test('the rights are those of the time of the fire', async () => {
    const made = await schedule('s');
    startLoop();
    await clock.asleep(1);
    await pass(5);
    await putUser(world.pool, { ...ALICE, groups: ['guests'], clearance: 1 });
    await pass(5);
    const { rows } = await world.pool.query('SELECT groups, clearance FROM runs WHERE source = $1 ORDER BY idempotency_key', [`schedule:${made.name}`]);
    expect(rows).toEqual([{ groups: ['soc'], clearance: 2 }, { groups: ['guests'], clearance: 1 }]);
  });
});

describe('S4: the loop', () => {
  test('sleeps until the earliest fire and no longer than the backstop; a wake looks at once', async () => {
    const slept: number[] = [];
    const scheduler = startLoop(({ clock: given }) => ({
      clock: {
        sleep: (ms, signal) => {
          slept.push(ms);
          return given.sleep(ms, signal);
        },
      },
    }));
    await clock.asleep(1);
    expect(slept, 'nothing is planned').toEqual([MINUTE_MS]);
    await schedule('soon', { cron: '*/10 * * * * *' });
    scheduler.wake();
    await expect.poll(() => slept).toEqual([MINUTE_MS, 10_000]);
  });

  test('a database that is away is asked again; the loop never ends', async () => {
    const made = await schedule('s');
    let looks = 0;
    startLoop(({ store }) => ({
      store: {
        claimDue: (claim) => {
          looks += 1;
          return looks < 4 ? Promise.reject(new PlatformError('unavailable', 'away')) : store.claimDue(claim);
        },
      },
    }));
    await clock.asleep(1);
    await pass(6);
    expect(await fires(made)).toEqual(['00:05']);
  });
});
