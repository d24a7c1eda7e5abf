import { Type } from '@fastify/type-provider-typebox';
import type { ModelUsageQuery, UsageQuery } from '../port.ts';
import { MODEL_USAGE_GROUPS } from '../port.ts';
import { RANGE, Strict, toTimeRange } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toItems, toModelUsageRowView, toUsageRowView } from '../to-view.ts';
import { itemsOf, ModelUsageRowView, UsageRowView } from '../view-schema.ts';

const Query = Strict({
  ...RANGE,
  group_by: Type.Optional(Type.Unsafe<UsageQuery['groupBy']>({ enum: ['agent', 'user', 'model', 'day'], description: 'Default agent.' })),
});

const GROUPS_DEFAULT = 100;
const GROUPS_MAX = 1_000;

const ModelQuery = Strict({
  ...RANGE,
  group_by: Type.Optional(Type.Unsafe<ModelUsageQuery['groupBy']>({ enum: [...MODEL_USAGE_GROUPS], description: 'Default backend.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: GROUPS_MAX, description: `Most groups; default ${GROUPS_DEFAULT}.` })),
});

export const usageRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/usage', {
    config: { scope: 'usage:read' },
    schema: { operationId: 'getUsage', tags: ['usage'], summary: 'Tokens and cost', querystring: Query, response: { 200: itemsOf(UsageRowView) } },
    handler: async (request, reply) => {
      const query = { ...toTimeRange(request.query), groupBy: request.query.group_by ?? 'agent' };
      return reply.code(200).send(toItems(await port.getUsage(callerOf(request), query), toUsageRowView));
    },
  });

  app.get('/model-usage', {
    config: { scope: 'usage:read' },
    schema: {
      operationId: 'getModelUsage',
      tags: ['usage'],
      summary: 'What models were asked, and what it cost',
      description: 'Every call through the gateway, of agents and of virtual keys, failed ones and those that a cache answered included; a few seconds late. Kept by the hour: `from` and `to` take whole hours, by their beginning. Hours older than 90 days have no run and no agent. The dearest group first, days newest last. Without the scope act_for_others only calls of your own are counted.',
      querystring: ModelQuery,
      response: { 200: itemsOf(ModelUsageRowView) },
    },
    handler: async (request, reply) => {
      const query = { ...toTimeRange(request.query), groupBy: request.query.group_by ?? 'backend', limit: request.query.limit ?? GROUPS_DEFAULT };
      return reply.code(200).send(toItems(await port.getModelUsage(callerOf(request), query), toModelUsageRowView));
    },
  });

  done();
};
