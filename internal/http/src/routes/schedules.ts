import type { Static } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { CatchUp, JsonObject, Overlap, Priority } from '@openeaap/kernel';
import { CATCH_UPS, isUuid, LIMITS, OVERLAPS, PlatformError, PRIORITIES } from '@openeaap/kernel';
import type { CreateScheduleRequest, ScheduleChange } from '../port.ts';
import { AGENT_REF_CHARS, NAME_CHARS, NAME_PATTERN, PAGE, ScheduleParams, Strict, toPageRequest } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toPage, toScheduleView } from '../to-view.ts';
import { pageOf, refTo, ScheduleView } from '../view-schema.ts';
import { checkInputSize, checkUserId } from './create-run.ts';

const TIME_ZONE_CHARS = 64;

const FIELDS = {
  name: Type.String({ minLength: 1, maxLength: LIMITS.scheduleNameChars, pattern: NAME_PATTERN, description: 'Unique name of the schedule.' }),
  cron: Type.String({ maxLength: LIMITS.cronChars, description: 'Minute hour day-of-month month day-of-week, e.g. "0 9 * * 1-5"; a sixth field in front is the second. Or @hourly, @daily, @weekly, @monthly, @yearly.' }),
  time_zone: Type.String({ maxLength: TIME_ZONE_CHARS, description: 'IANA name in which cron is read, e.g. Asia/Shanghai; UTC when a new schedule names none.' }),
  agent: Type.String({ minLength: 1, maxLength: AGENT_REF_CHARS, description: 'A name: the version that is current at each fire; or name@version.' }),
  input: Type.Unsafe<string | JsonObject>({ type: ['string', 'object'], description: 'What the agent is asked each time: text, or a JSON object.' }),
  priority: Type.Unsafe<Priority>({ enum: [...PRIORITIES], description: 'Of its runs. Default normal.' }),
  overlap: Type.Unsafe<Overlap>({ enum: [...OVERLAPS], description: 'skip: a fire starts nothing while the run of an earlier one has not ended. Default allow.' }),
  catch_up: Type.Unsafe<CatchUp>({ enum: [...CATCH_UPS], description: `Fires that came while no node was there: none of them, the last (default), or all, but at most the newest ${LIMITS.scheduleCatchUpRuns}.` }),
};

const EXAMPLE = { name: 'nightly-triage', cron: '30 2 * * *', time_zone: 'Asia/Shanghai', agent: 'security-triage', input: 'Summarise the alerts of the last day', overlap: 'skip' };

const CreateScheduleBody = Strict(
  {
    name: FIELDS.name,
    cron: FIELDS.cron,
    time_zone: Type.Optional(FIELDS.time_zone),
    agent: FIELDS.agent,
    input: FIELDS.input,
    user_id: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS, description: 'Run for this user; needs the scope act_for_others unless it is your own id, which is the default.' })),
    priority: Type.Optional(FIELDS.priority),
    overlap: Type.Optional(FIELDS.overlap),
    catch_up: Type.Optional(FIELDS.catch_up),
    paused: Type.Optional(Type.Boolean({ description: 'Begin paused. Default false.' })),
  },
  { examples: [EXAMPLE] },
);

const UpdateScheduleBody = Strict(
  {
    name: Type.Optional(FIELDS.name),
    cron: Type.Optional(FIELDS.cron),
    time_zone: Type.Optional(FIELDS.time_zone),
    agent: Type.Optional(FIELDS.agent),
    input: Type.Optional(FIELDS.input),
    priority: Type.Optional(FIELDS.priority),
    overlap: Type.Optional(FIELDS.overlap),
    catch_up: Type.Optional(FIELDS.catch_up),
  },
  { examples: [{ cron: '0 3 * * *' }] },
);

const ListSchedulesQuery = Strict({
  user_id: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_CHARS })),
  paused: Type.Optional(Type.Boolean()),
  ...PAGE,
});

const Deleted = Type.Object({ schedule_id: Type.String({ format: 'uuid' }), name: Type.String(), deleted: Type.Literal(true) });

/** What starts by the clock. */
export const scheduleRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/schedules', {
    config: { scope: 'schedules:read' },
    schema: {
      operationId: 'listSchedules',
      tags: ['schedules'],
      summary: 'List schedules, newest first',
      description: 'Without the scope act_for_others only those that run as you are seen.',
      querystring: ListSchedulesQuery,
      response: { 200: pageOf(ScheduleView) },
    },
    handler: async (request, reply) => {
      const filter = { userId: request.query.user_id ?? null, paused: request.query.paused ?? null };
      return reply.code(200).send(toPage(await port.listSchedules(callerOf(request), filter, toPageRequest(request.query)), toScheduleView));
    },
  });

  app.post('/schedules', {
    config: { scope: 'schedules:write', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'createSchedule',
      tags: ['schedules'],
      summary: 'Make a schedule',
      description: 'Look at `next_fires` of the answer: it is how the expression was understood. Each fire starts one run across all nodes.',
      body: CreateScheduleBody,
      response: { 201: refTo(ScheduleView) },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request);
      const detail = await port.createSchedule(caller, { ...toCreateRequest(request.body), userId: checkUserId(caller, request.body.user_id) });
      return reply.code(201).header('location', `/api/v1/schedules/${detail.schedule.id}`).send(toScheduleView(detail));
    },
  });

  app.get('/schedules/:schedule_id', {
    config: { scope: 'schedules:read', errors: ['not_found'] },
    schema: { operationId: 'getSchedule', tags: ['schedules'], summary: 'Get a schedule', params: ScheduleParams, response: { 200: refTo(ScheduleView) } },
    handler: async (request, reply) => reply.code(200).send(toScheduleView(await port.getSchedule(callerOf(request), request.params.schedule_id))),
  });

  app.patch('/schedules/:schedule_id', {
    config: { scope: 'schedules:write', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'updateSchedule',
      tags: ['schedules'],
      summary: 'Change a schedule',
      description: 'What is left out stays. Another `cron` or `time_zone` goes on with its next fire after now. On whose behalf it runs cannot be changed.',
      params: ScheduleParams,
      body: UpdateScheduleBody,
      response: { 200: refTo(ScheduleView) },
    },
    handler: async (request, reply) => reply.code(200).send(toScheduleView(await port.updateSchedule(callerOf(request), request.params.schedule_id, toChange(request.body)))),
  });

  app.delete('/schedules/:schedule_id', {
    config: { scope: 'schedules:write', errors: ['not_found'] },
    schema: { operationId: 'deleteSchedule', tags: ['schedules'], summary: 'Delete a schedule', description: 'Runs that it has started go on.', params: ScheduleParams, response: { 200: Deleted } },
    handler: async (request, reply) => {
      const { id, name } = await port.deleteSchedule(callerOf(request), request.params.schedule_id);
      return reply.code(200).send({ schedule_id: id, name, deleted: true });
    },
  });

  done();
};

/** Partial in, total out. `last`: a job that was missed is still wanted, once. UTC: what a schedule means must not depend on a server's settings. */
function toCreateRequest(body: Static<typeof CreateScheduleBody>): Omit<CreateScheduleRequest, 'userId'> {
  return {
    name: checkName(body.name),
    cron: body.cron,
    timeZone: body.time_zone ?? 'UTC',
    agentRef: body.agent,
    input: checkInputSize(body.input),
    priority: body.priority ?? 'normal',
    overlap: body.overlap ?? 'allow',
    catchUp: body.catch_up ?? 'last',
    paused: body.paused ?? false,
  };
}

function toChange(body: Static<typeof UpdateScheduleBody>): ScheduleChange {
  const { name, cron, time_zone: timeZone, agent: agentRef, input, priority, overlap, catch_up: catchUp } = body;
  if (Object.keys(body).length === 0) throw new PlatformError('invalid_input', 'There is nothing to change.', { details: { in: 'body', cure: `Send one of: ${Object.keys(FIELDS).join(', ')}.` } });
  return {
    ...(name === undefined ? {} : { name: checkName(name) }),
    ...(cron === undefined ? {} : { cron }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(agentRef === undefined ? {} : { agentRef }),
    ...(input === undefined ? {} : { input: checkInputSize(input) }),
    ...(priority === undefined ? {} : { priority }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(catchUp === undefined ? {} : { catchUp }),
  };
}

/** In `/schedules/{schedule_id}` a UUID is always an id. */
function checkName(name: string): string {
  if (!isUuid(name)) return name;
  throw new PlatformError('invalid_input', '`name` must not look like a UUID.', { details: { field: 'name', in: 'body', cure: 'Choose a name for people.' } });
}
