import type { AuditFact, JsonValue, Schedule, ScheduleSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, isUuid } from '@openeaap/kernel';
import type { Caller, CreateScheduleRequest, PlatformPort, ScheduleChange, ScheduleDetail } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import { countFailures, nextFire, nextFires, parseCron, parseTimeZone, toZonedText } from '@openeaap/orchestrator';
import { appendAudit, createSchedule, deleteSchedule, findAgent, findSchedule, findUser, getRun, listSchedules, updateSchedule } from '@openeaap/store';
import type { PlatformContext } from './context.ts';
import { pageById } from './page.ts';
import { refuseReservedKey, startRun, toAgentReference } from './runs.ts';

type SchedulePort = Pick<
  PlatformPort,
  'listSchedules' | 'createSchedule' | 'getSchedule' | 'updateSchedule' | 'deleteSchedule' | 'pauseSchedule' | 'resumeSchedule' | 'runSchedule'
>;

/** So many fires are shown, that a person sees how the expression was understood. */
const SHOWN_FIRES = 5;

export function createSchedulePort(context: PlatformContext): SchedulePort {
  const { pool } = context;
  return {
    listSchedules: async (caller, filter, page) => {
      const userId = actsForOthers(caller) ? (filter.userId ?? undefined) : caller.principal.userId;
      if (filter.userId !== null && filter.userId !== userId) return { items: [], nextCursor: null };
      const found = await pageById<Schedule>(
        page,
        (schedule) => schedule.id,
        ({ before, limit }) => listSchedules(pool, { tenantId: caller.principal.tenantId, userId, paused: filter.paused ?? undefined, before, limit }),
      );
      // Finding fires costs milliseconds each; a list does with the one that is stored.
      const items = await Promise.all(found.items.map((schedule) => toDetail(context, schedule, 1)));
      return { items, nextCursor: found.nextCursor };
    },
    createSchedule: (caller, request) => create(context, caller, request),
    getSchedule: async (caller, ref) => toDetail(context, await ownSchedule(context, caller, ref), SHOWN_FIRES),
    updateSchedule: (caller, ref, change) => update(context, caller, ref, change),
    deleteSchedule: async (caller, ref) => {
      const schedule = await ownSchedule(context, caller, ref);
      await context.lane.withAudit([toFact(caller, schedule, 'deleted', null)], async (db, rows) => ((await deleteSchedule(db, schedule.tenantId, schedule.id)) ? appendAudit(db, rows) : null));
      return schedule;
    },
    pauseSchedule: async (caller, ref) => {
      const schedule = await ownSchedule(context, caller, ref);
      return schedule.paused ? toDetail(context, schedule, SHOWN_FIRES) : save(context, caller, { ...schedule, paused: true, nextAt: null }, 'paused', null);
    },
    resumeSchedule: async (caller, ref) => {
      const schedule = await ownSchedule(context, caller, ref);
      if (!schedule.paused) return toDetail(context, schedule, SHOWN_FIRES);
      return save(context, caller, { ...schedule, paused: false, nextAt: nextFire(schedule, context.clock.now()) }, 'resumed', null);
    },
    runSchedule: async (caller, ref, { idempotencyKey, trace }) => {
      refuseReservedKey(idempotencyKey);
      const schedule = await ownSchedule(context, caller, ref);
      const created = await startRun(context, {
        agent: { name: schedule.agentName, ...(schedule.agentVersion === null ? {} : { version: schedule.agentVersion }) },
        principal: await findUser(pool, schedule.tenantId, schedule.userId),
        input: schedule.input,
        idempotencyKey,
        source: `schedule:${schedule.name}`,
        identity: null,
        traceId: trace.traceId,
        priority: schedule.priority,
      });
      const fact = toFact(caller, schedule, 'started', null);
      if (!created.replayed) await context.appendAudit([{ ...fact, action: 'schedule_fire', runId: created.run.id, traceId: trace.traceId, metadata: { ...fact.metadata, asked_by_hand: true } }]);
      return created;
    },
  };
}

async function create(context: PlatformContext, caller: Caller, request: CreateScheduleRequest): Promise<ScheduleDetail> {
  const { tenantId, userId } = caller.principal;
  const { agentRef, ...rest } = request;
  const spec = {
    ...rest,
    cron: parseCron(request.cron),
    timeZone: parseTimeZone(request.timeZone),
    ...(await findTarget(context, tenantId, agentRef)),
    input: maskInput(context, request.input),
    userId: request.userId ?? userId,
  };
  const nextAt = spec.paused ? null : nextFire(spec, context.clock.now());
  const wanted = { ...spec, tenantId, id: context.ids.newId(), nextAt, createdBy: userId };
  const made: { schedule: Schedule | null } = { schedule: null };
  await context.lane.withAudit([toFact(caller, wanted, 'created', toChangeText(spec))], async (db, rows) => {
    made.schedule = await createSchedule(db, wanted);
    return made.schedule === null ? null : appendAudit(db, rows);
  });
  if (made.schedule === null) throw await toRefusal(context, tenantId, spec.name);
  context.scheduler.wake();
  return toDetail(context, made.schedule, SHOWN_FIRES);
}

async function toRefusal(context: PlatformContext, tenantId: string, name: string): Promise<PlatformError> {
  const taken = await findSchedule(context.pool, tenantId, { name });
  return taken === null
    ? new PlatformError('conflict', `There are ${LIMITS.schedulesPerTenant} schedules already, the most that there can be. Delete one that is not needed.`)
    : new PlatformError('conflict', `There is a schedule "${name}" already. Change that one, or choose another name.`, { details: { field: 'name' } });
}

async function update(context: PlatformContext, caller: Caller, ref: string, change: ScheduleChange): Promise<ScheduleDetail> {
  const schedule = await ownSchedule(context, caller, ref);
  const { agentRef, input, cron, timeZone, ...rest } = change;
  const changed = {
    ...rest,
    ...(cron === undefined ? {} : { cron: parseCron(cron) }),
    ...(timeZone === undefined ? {} : { timeZone: parseTimeZone(timeZone) }),
    ...(agentRef === undefined ? {} : await findTarget(context, schedule.tenantId, agentRef)),
    ...(input === undefined ? {} : { input: maskInput(context, input) }),
  };
  const wanted: Schedule = { ...schedule, ...changed };
  const moves = wanted.cron !== schedule.cron || wanted.timeZone !== schedule.timeZone;
  const nextAt = moves && !wanted.paused ? nextFire(wanted, context.clock.now()) : schedule.nextAt;
  return save(context, caller, { ...wanted, nextAt }, 'changed', toChangeText(changed), moves);
}

async function save(context: PlatformContext, caller: Caller, schedule: Schedule, outcome: string, input: JsonValue, moves = true): Promise<ScheduleDetail> {
  const saved: { schedule: Schedule | null } = { schedule: null };
  await context.lane.withAudit([toFact(caller, schedule, outcome, input)], async (db, rows) => {
    saved.schedule = await updateSchedule(db, { schedule, moves });
    return saved.schedule === null ? null : appendAudit(db, rows);
  });
  if (saved.schedule === null) throw new PlatformError('conflict', 'Somebody else has changed or deleted the schedule at this moment. Look at it again.');
  context.scheduler.wake();
  return toDetail(context, saved.schedule, SHOWN_FIRES);
}

/** What can never work is refused when it is written; what goes wrong later is told at the fire. */
async function findTarget(context: PlatformContext, tenantId: string, agentRef: string): Promise<Pick<Schedule, 'agentName' | 'agentVersion'>> {
  const reference = toAgentReference(agentRef);
  const agent = await findAgent(context.pool, tenantId, reference);
  if (agent === null) throw new PlatformError('not_found', `There is no agent "${agentRef}", or no version of it is published.`, { details: { field: 'agent' } });
  if (agent.status !== 'published') throw new PlatformError('conflict', `Agent ${agent.name}@${agent.version} is not published (${agent.status}). Publish it first.`, { details: { field: 'agent' } });
  const isPinned = reference.id !== undefined || reference.version !== undefined;
  return { agentName: agent.name, agentVersion: isPinned ? agent.version : null };
}

/** Stored masked, as the input of a run is. */
const maskInput = (context: PlatformContext, input: Schedule['input']): Schedule['input'] => context.deps.text.mask(input) as Schedule['input'];

/** Another's schedule is not found, so that names cannot be probed. */
async function ownSchedule(context: PlatformContext, caller: Caller, ref: string): Promise<Schedule> {
  const schedule = await findSchedule(context.pool, caller.principal.tenantId, isUuid(ref) ? { id: ref } : { name: ref });
  if (schedule === null || !(actsForOthers(caller) || schedule.userId === caller.principal.userId)) {
    throw new PlatformError('not_found', `There is no schedule "${ref}".`, { details: { field: 'schedule_id' } });
  }
  return schedule;
}

async function toDetail(context: PlatformContext, schedule: Schedule, shownFires: number): Promise<ScheduleDetail> {
  const lastRun = schedule.lastRunId === null ? null : ((await getRun(context.pool, schedule.tenantId, schedule.lastRunId))?.run ?? null);
  const runError = schedule.lastOutcome !== 'failed' && lastRun?.status === 'failed' ? lastRun.error : null;
  return {
    schedule,
    nextFires: toNextFires(schedule, shownFires),
    lastRunStatus: lastRun?.status ?? null,
    lastError: schedule.lastError ?? (runError === null ? null : { code: runError.code, message: runError.message }),
    failuresInARow: countFailures(schedule, lastRun),
  };
}

function toNextFires(schedule: Schedule, count: number): readonly string[] {
  const { nextAt, timeZone } = schedule;
  if (nextAt === null) return [];
  const later = count > 1 ? nextFires(schedule, nextAt, count - 1) : [];
  return [nextAt, ...later].map((at) => toZonedText(at, timeZone));
}

/** What was asked for, in the names of the API. */
function toChangeText({ cron, timeZone, agentName, agentVersion, input, userId, priority, overlap, catchUp, paused, name }: Partial<ScheduleSpec>): JsonValue {
  const fields = { name, cron, time_zone: timeZone, agent: agentName, agent_version: agentVersion, input, user_id: userId, priority, overlap, catch_up: catchUp, paused };
  return Object.fromEntries(Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])));
}

function toFact(caller: Caller, schedule: Pick<Schedule, 'id' | 'name' | 'userId'>, outcome: string, input: JsonValue | null): AuditFact {
  return {
    tenantId: caller.principal.tenantId,
    runId: null,
    traceId: '',
    actor: `user:${caller.principal.userId}`,
    action: 'schedule_change',
    phase: 'event',
    decision: null,
    outcome,
    rule: null,
    stepNo: null,
    metadata: { schedule: schedule.name, schedule_id: schedule.id, user_id: schedule.userId, key_id: caller.keyId },
    input,
    output: null,
  };
}
