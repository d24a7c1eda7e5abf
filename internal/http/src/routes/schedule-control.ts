import { Type } from '@fastify/type-provider-typebox';
import { ScheduleParams, Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf, traceOf } from '../route-context.ts';
import { toRunCreated, toScheduleView } from '../to-view.ts';
import { refTo, RunCreatedView, ScheduleView } from '../view-schema.ts';
import { IdempotencyKey, oneIdempotencyKey } from './create-run.ts';

const RunHeaders = Type.Object({ 'idempotency-key': Type.Optional(IdempotencyKey) });

/** Stop, go on, and run once now. */
export const scheduleControlRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.post('/schedules/:schedule_id/pause', {
    config: { scope: 'schedules:write', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'pauseSchedule',
      tags: ['schedules'],
      summary: 'Pause a schedule',
      description: 'It fires no more until it is resumed. Runs that it has started go on.',
      params: ScheduleParams,
      body: Strict({}),
      response: { 200: refTo(ScheduleView) },
    },
    handler: async (request, reply) => reply.code(200).send(toScheduleView(await port.pauseSchedule(callerOf(request), request.params.schedule_id))),
  });

  app.post('/schedules/:schedule_id/resume', {
    config: { scope: 'schedules:write', errors: ['not_found', 'conflict'] },
    schema: {
      operationId: 'resumeSchedule',
      tags: ['schedules'],
      summary: 'Let a paused schedule go on',
      description: 'With its next fire after now: what came while it was paused was not wanted, whatever `catch_up` says.',
      params: ScheduleParams,
      body: Strict({}),
      response: { 200: refTo(ScheduleView) },
    },
    handler: async (request, reply) => reply.code(200).send(toScheduleView(await port.resumeSchedule(callerOf(request), request.params.schedule_id))),
  });

  app.post('/schedules/:schedule_id/run', {
    config: { scope: 'schedules:write', errors: ['not_found', 'conflict', 'idempotency_mismatch'] },
    schema: {
      operationId: 'runSchedule',
      tags: ['schedules'],
      summary: 'Start a run of a schedule now',
      description: 'Besides its fires, also while it is paused: its next fire stays as it is, and `overlap` does not count this run.',
      params: ScheduleParams,
      headers: RunHeaders,
      body: Strict({ idempotency_key: Type.Optional(IdempotencyKey) }),
      response: { 200: refTo(RunCreatedView), 202: refTo(RunCreatedView) },
    },
    handler: async (request, reply) => {
      const idempotencyKey = oneIdempotencyKey(request.body.idempotency_key, request.headers['idempotency-key']);
      const { run, replayed } = await port.runSchedule(callerOf(request), request.params.schedule_id, { idempotencyKey, trace: traceOf(request) });
      reply.header('location', `/api/v1/runs/${run.id}`);
      if (replayed) reply.header('idempotency-replayed', 'true');
      return reply.code(replayed ? 200 : 202).send(toRunCreated(run, replayed));
    },
  });

  done();
};
