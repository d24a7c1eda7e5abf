import { Type } from '@fastify/type-provider-typebox';
import { RunParams, Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf, traceOf } from '../route-context.ts';
import { toRunCreated, toRunView } from '../to-view.ts';
import { refTo, RunCreatedView, RunView } from '../view-schema.ts';

const CancelBody = Strict({ reason: Type.Optional(Type.String({ maxLength: 1_024 })) }, { examples: [{ reason: 'Duplicate alert' }] });

/** Cancel, and run again. */
export const runControlRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.post('/runs/:run_id/cancel', {
    config: { scope: 'runs:write', errors: ['not_found', 'gone', 'conflict'] },
    schema: {
      operationId: 'cancelRun',
      tags: ['runs'],
      summary: 'Cancel a run',
      description: 'The cancellation is stored and takes effect before the next think or act. 200 when the run was cancelled already.',
      params: RunParams,
      body: CancelBody,
      response: { 200: refTo(RunView), 202: refTo(RunView) },
    },
    handler: async (request, reply) => {
      const { run, changed } = await port.cancelRun(callerOf(request), request.params.run_id, request.body.reason ?? null);
      return reply.code(changed ? 202 : 200).send(toRunView(run));
    },
  });

  app.post('/runs/:run_id/retry', {
    config: { scope: 'runs:write', errors: ['not_found', 'gone', 'conflict', 'policy_denied', 'quota_exceeded'] },
    schema: {
      operationId: 'retryRun',
      tags: ['runs'],
      summary: 'Run again as a new run',
      description: 'A new run with the same input; the old one stays as it is.',
      params: RunParams,
      body: Strict({}),
      response: { 202: refTo(RunCreatedView) },
    },
    handler: async (request, reply) => {
      const run = await port.retryRun(callerOf(request), request.params.run_id, traceOf(request));
      return reply.code(202).header('location', `/api/v1/runs/${run.id}`).send(toRunCreated(run, false));
    },
  });

  done();
};
