import type { Schedule } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpApp } from '../app.ts';
import type { Caller, CreateScheduleRequest, PlatformPort, ScheduleChange, ScheduleDetail } from '../port.ts';
import { createFakePort, RUN_ID, toCaller, toRun } from '../testing/fake-port.ts';

const SCHEDULE_ID = '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b20';
const AT = new Date('2026-11-24T08:00:00.000Z');

const schedule: Schedule = {
  tenantId: 'default',
  id: SCHEDULE_ID,
  name: 'nightly',
  cron: '30 2 * * *',
  timeZone: 'Asia/Shanghai',
  agentName: 'security-triage',
  agentVersion: '1.0.0',
  input: 'summarise',
  userId: 'alice',
  priority: 'normal',
  overlap: 'skip',
  catchUp: 'last',
  paused: false,
  nextAt: AT,
  lastAt: null,
  lastOutcome: null,
  lastRunId: null,
  lastError: null,
  failures: 0,
  revision: 1,
  createdBy: 'alice',
  createdAt: AT,
  updatedAt: AT,
};
const detail: ScheduleDetail = { schedule, nextFires: ['2026-11-24T16:00:00+08:00'], lastRunStatus: null, lastError: null, failuresInARow: 0 };

const KEYS: Readonly<Record<string, Caller>> = { all: toCaller('root', ['*']), alice: toCaller('alice', ['schedules:read', 'schedules:write']), reader: toCaller('alice', ['schedules:read']) };
const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

function createApp(functions: Partial<PlatformPort>) {
  const app = createHttpApp(createFakePort({ authenticate: async (key) => KEYS[key] ?? null, ...functions }), { version: '0.1.0' });
  apps.push(app);
  return app;
}

const as = (key: string): { readonly authorization: string } => ({ authorization: `Bearer ${key}` });
const BODY = { name: 'nightly', cron: '30 2 * * *', agent: 'security-triage', input: 'summarise' };

/** An app that remembers what it was asked to make or change. */
function createRecorder() {
  const made: CreateScheduleRequest[] = [];
  const changes: ScheduleChange[] = [];
  const app = createApp({
    createSchedule: async (_caller, request) => {
      made.push(request);
      return detail;
    },
    updateSchedule: async (_caller, _ref, change) => {
      changes.push(change);
      return detail;
    },
  });
  return { app, made, changes };
}

describe('POST /schedules', () => {
  it('fills in what is left out, and shows how it was understood', async () => {
    const { app, made } = createRecorder();
    const answer = await app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('alice'), payload: BODY });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers['location']).toBe(`/api/v1/schedules/${SCHEDULE_ID}`);
    expect(answer.json()).toEqual({
      schedule_id: SCHEDULE_ID,
      name: 'nightly',
      cron: '30 2 * * *',
      time_zone: 'Asia/Shanghai',
      agent: 'security-triage@1.0.0',
      input: 'summarise',
      user_id: 'alice',
      priority: 'normal',
      overlap: 'skip',
      catch_up: 'last',
      paused: false,
      next_at: '2026-11-24T08:00:00.000Z',
      next_fires: ['2026-11-24T16:00:00+08:00'],
      last_at: null,
      last_outcome: null,
      last_run_id: null,
      last_run_status: null,
      last_error: null,
      failures_in_a_row: 0,
      created_by: 'alice',
      created_at: '2026-11-24T08:00:00.000Z',
      updated_at: '2026-11-24T08:00:00.000Z',
    });
    expect(made).toEqual([{ name: 'nightly', cron: '30 2 * * *', timeZone: 'UTC', agentRef: 'security-triage', input: 'summarise', userId: null, priority: 'normal', overlap: 'allow', catchUp: 'last', paused: false }]);
  });

  it('runs as another user only for a key that may act for others', async () => {
    const { app, made } = createRecorder();
    const refused = await app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('alice'), payload: { ...BODY, user_id: 'bob' } });
    expect(refused.json()).toMatchObject({ status: 403, code: 'permission_denied', field: 'user_id', scope: 'act_for_others' });
    await app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('alice'), payload: { ...BODY, user_id: 'alice' } });
    await app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('all'), payload: { ...BODY, user_id: 'bob' } });
    expect(made.map((request) => request.userId)).toEqual([null, 'bob']);
  });

  it.each([
    [{ ...BODY, cron: undefined }, 'cron', /`cron` is missing/],
    [{ ...BODY, cron: 5 }, 'cron', /must be a string/],
    [{ ...BODY, name: 'a b' }, 'name', /must match/],
    [{ ...BODY, name: SCHEDULE_ID }, 'name', /must not look like a UUID/],
    [{ ...BODY, name: 'n'.repeat(101) }, 'name', /100/],
    [{ ...BODY, overlap: 'maybe' }, 'overlap', /"allow", "skip"/],
    [{ ...BODY, catch_up: 'some' }, 'catch_up', /"none", "last", "all"/],
    [{ ...BODY, priority: 'top' }, 'priority', /"low", "normal", "high", "urgent"/],
    [{ ...BODY, timezone: 'UTC' }, 'timezone', /Did you mean `time_zone`/],
    [{ ...BODY, input: null }, 'input', /not null/],
  ])('refuses %j and names the field', async (payload, field, said) => {
    const { app, made } = createRecorder();
    const answer = await app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('alice'), payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'invalid_input', field, detail: expect.stringMatching(said), cure: expect.any(String) });
    expect(made).toEqual([]);
  });

  it('refuses an input that no run could have', async () => {
    const answer = await createRecorder().app.inject({ method: 'POST', url: '/api/v1/schedules', headers: as('alice'), payload: { ...BODY, input: 'x'.repeat(300_000) } });
    expect(answer.json()).toMatchObject({ status: 413, code: 'payload_too_large', field: 'input' });
  });
});

describe('PATCH /schedules/{schedule_id}', () => {
  it('passes on only what is there', async () => {
    const { app, changes } = createRecorder();
    await app.inject({ method: 'PATCH', url: '/api/v1/schedules/nightly', headers: as('alice'), payload: { cron: '@daily', time_zone: 'UTC' } });
    await app.inject({ method: 'PATCH', url: '/api/v1/schedules/nightly', headers: as('alice'), payload: { agent: 'a@2', catch_up: 'all', input: { a: 1 } } });
    expect(changes).toEqual([{ cron: '@daily', timeZone: 'UTC' }, { agentRef: 'a@2', catchUp: 'all', input: { a: 1 } }]);
  });

  it.each([
    [{}, /nothing to change/],
    [{ user_id: 'bob' }, /Unknown field `user_id`/],
    [{ paused: true }, /Unknown field `paused`/],
  ])('refuses %j', async (payload, said) => {
    const { app, changes } = createRecorder();
    const answer = await app.inject({ method: 'PATCH', url: '/api/v1/schedules/nightly', headers: as('alice'), payload });
    expect(answer.json()).toMatchObject({ status: 400, detail: expect.stringMatching(said) });
    expect(changes).toEqual([]);
  });
});

describe('the other routes', () => {
  const app = () =>
    createApp({
      listSchedules: async (_caller, filter) => ({ items: filter.paused === true ? [] : [detail], nextCursor: 'next' }),
      getSchedule: async (_caller, ref) => {
        if (ref === 'nightly' || ref === SCHEDULE_ID) return detail;
        throw new PlatformError('not_found', `There is no schedule "${ref}".`);
      },
      pauseSchedule: async () => ({ ...detail, schedule: { ...schedule, paused: true, nextAt: null }, nextFires: [] }),
      resumeSchedule: async () => detail,
      deleteSchedule: async () => schedule,
      runSchedule: async (_caller, _ref, request) => ({ run: toRun({ source: 'schedule:nightly' }), replayed: request.idempotencyKey === 'seen' }),
    });

  it.each([
    ['GET', '/schedules?limit=1', 200, { items: [{ name: 'nightly' }], next_cursor: expect.any(String) }],
    ['GET', '/schedules?paused=true', 200, { items: [] }],
    ['GET', '/schedules/nightly', 200, { schedule_id: SCHEDULE_ID }],
    ['GET', `/schedules/${SCHEDULE_ID}`, 200, { name: 'nightly' }],
    ['GET', '/schedules/nobody', 404, { code: 'not_found' }],
    ['POST', '/schedules/nightly/pause', 200, { paused: true, next_at: null, next_fires: [] }],
    ['POST', '/schedules/nightly/resume', 200, { paused: false }],
    ['POST', '/schedules/nightly/run', 202, { run_id: RUN_ID, replayed: false }],
    ['DELETE', '/schedules/nightly', 200, { schedule_id: SCHEDULE_ID, name: 'nightly', deleted: true }],
    ['PUT', '/schedules/nightly', 405, { code: 'invalid_input' }],
  ] as const)('%s %s', async (method, url, status, body) => {
    const answer = await app().inject({ method, url: `/api/v1${url}`, headers: as('alice') });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject(body);
  });

  it('marks a run that had been started with the same key', async () => {
    const answer = await app().inject({ method: 'POST', url: '/api/v1/schedules/nightly/run', headers: { ...as('alice'), 'idempotency-key': 'seen' } });
    expect([answer.statusCode, answer.headers['idempotency-replayed']]).toEqual([200, 'true']);
  });

  it.each([
    ['POST', '/schedules'],
    ['PATCH', '/schedules/nightly'],
    ['DELETE', '/schedules/nightly'],
    ['POST', '/schedules/nightly/pause'],
    ['POST', '/schedules/nightly/run'],
  ] as const)('%s %s needs schedules:write', async (method, url) => {
    const answer = await app().inject({ method, url: `/api/v1${url}`, headers: as('reader'), payload: {} });
    expect(answer.json()).toMatchObject({ status: 403, scope: 'schedules:write' });
  });
});
