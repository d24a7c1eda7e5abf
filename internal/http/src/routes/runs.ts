import { Type } from '@fastify/type-provider-typebox';
import { RUN_STATUSES } from '@openeaap/kernel';
import { PAGE, RunParams, Strict, toPageRequest, Uuid } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toItems, toLineageItem, toPage, toRunView, toStepView } from '../to-view.ts';
import { itemsOf, LineageItemView, pageOf, refTo, RunView, StepView } from '../view-schema.ts';

const ListRunsQuery = Strict({
  status: Type.Optional(Type.Enum([...RUN_STATUSES])),
  agent_id: Type.Optional(Uuid('Id of an agent version.')),
  user_id: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  source: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'E.g. api, trigger:siem.' })),
  ...PAGE,
});

/** What runs there are, and what they did. */
export const runRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/runs', {
    config: { scope: 'runs:read' },
    schema: {
      operationId: 'listRuns',
      tags: ['runs'],
      summary: 'List runs, newest first',
      description: 'Without the scope act_for_others only your own runs are seen.',
      querystring: ListRunsQuery,
      response: { 200: pageOf(RunView) },
    },
    handler: async (request, reply) => {
      const { status, agent_id, user_id, source } = request.query;
      const filter = { status: status ?? null, agentId: agent_id ?? null, userId: user_id ?? null, source: source ?? null };
      return reply.code(200).send(toPage(await port.listRuns(callerOf(request), filter, toPageRequest(request.query)), toRunView));
    },
  });

  app.get('/runs/:run_id', {
    config: { scope: 'runs:read', errors: ['not_found', 'gone'] },
    schema: { operationId: 'getRun', tags: ['runs'], summary: 'Get a run', params: RunParams, response: { 200: refTo(RunView) } },
    handler: async (request, reply) => reply.code(200).send(toRunView(await port.getRun(callerOf(request), request.params.run_id))),
  });

  app.get('/runs/:run_id/steps', {
    config: { scope: 'runs:read', errors: ['not_found', 'gone'] },
    schema: { operationId: 'listSteps', tags: ['runs'], summary: 'List the steps of a run', description: 'The journal of the run: thinks and acts in order of `no`.', params: RunParams, response: { 200: itemsOf(StepView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listSteps(callerOf(request), request.params.run_id), toStepView)),
  });

  app.get('/runs/:run_id/lineage', {
    config: { scope: 'runs:read', errors: ['not_found', 'gone'] },
    schema: { operationId: 'listLineage', tags: ['runs'], summary: 'List the knowledge that a run used', params: RunParams, response: { 200: itemsOf(LineageItemView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listLineage(callerOf(request), request.params.run_id), toLineageItem)),
  });

  done();
};
