import { Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toItems, toModelView, toToolView } from '../to-view.ts';
import { itemsOf, ModelView, ToolView } from '../view-schema.ts';

/** What this installation has: tools and models. */
export const catalogRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/tools', {
    config: { scope: 'tools:read' },
    schema: { operationId: 'listTools', tags: ['catalog'], summary: 'List tools', querystring: Strict({}), response: { 200: itemsOf(ToolView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listTools(callerOf(request)), toToolView)),
  });

  app.get('/models', {
    config: { scope: 'tools:read' },
    schema: { operationId: 'listModels', tags: ['catalog'], summary: 'List model backends', querystring: Strict({}), response: { 200: itemsOf(ModelView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listModels(callerOf(request)), toModelView)),
  });

  done();
};
