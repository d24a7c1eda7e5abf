import { Type } from '@fastify/type-provider-typebox';
import type { UsageQuery } from '../port.ts';
import { RANGE, Strict, toTimeRange } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toItems, toUsageRowView } from '../to-view.ts';
import { itemsOf, UsageRowView } from '../view-schema.ts';

const Query = Strict({
  ...RANGE,
  group_by: Type.Optional(Type.Unsafe<UsageQuery['groupBy']>({ enum: ['agent', 'user', 'model', 'day'], description: 'Default agent.' })),
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

  done();
};
