import { Type } from '@fastify/type-provider-typebox';
import type { Routes } from '../route-context.ts';

const Health = Type.Object({ status: Type.Literal('ok') });

const Index = Type.Object({
  name: Type.String(),
  version: Type.String(),
  links: Type.Record(Type.String(), Type.String()),
});

const LINKS = { api: '/api/v1', openapi: '/openapi.json', health: '/healthz', ready: '/readyz', metrics: '/metrics' };

/** What needs no key: probes, metrics, the description of the API. */
export const systemRoutes: Routes = ({ port, version }) => (app, _options, done) => {
  app.get('/', {
    config: { scope: null },
    schema: { operationId: 'getIndex', tags: ['system'], summary: 'What this server is', response: { 200: Index } },
    handler: async (_request, reply) => reply.code(200).send({ name: 'OpenEAAP', version, links: LINKS }),
  });

  app.get('/healthz', {
    config: { scope: null, errors: ['unavailable'] },
    exposeHeadRoute: true,
    schema: { operationId: 'getHealth', tags: ['system'], summary: 'Can the process go on? Says nothing about the database: restarting does not bring it back.', response: { 200: Health } },
    handler: async (_request, reply) => {
      await port.checkLive();
      return reply.code(200).send({ status: 'ok' });
    },
  });

  app.get('/readyz', {
    config: { scope: null, errors: ['unavailable'] },
    exposeHeadRoute: true,
    schema: { operationId: 'getReadiness', tags: ['system'], summary: 'Should requests come here? 503 names the checks that failed: database, heartbeat, draining.', response: { 200: Health } },
    handler: async (_request, reply) => {
      await port.checkReady();
      return reply.code(200).send({ status: 'ok' });
    },
  });

  app.get('/metrics', {
    config: { scope: null },
    schema: {
      operationId: 'getMetrics',
      tags: ['system'],
      summary: 'Metrics for Prometheus',
      response: { 200: { description: 'Prometheus text format 0.0.4.', content: { 'text/plain': { schema: Type.String() } } } },
    },
    handler: async (_request, reply) => reply.code(200).type('text/plain; version=0.0.4; charset=utf-8').send(await port.renderMetrics()),
  });

  app.get('/openapi.json', {
    config: { scope: null },
    schema: { hide: true },
    handler: async (_request, reply) => reply.code(200).type('application/json; charset=utf-8').send(JSON.stringify(app.swagger())),
  });

  done();
};
