import { Type } from '@fastify/type-provider-typebox';
import type { JsonObject } from '@openeaap/kernel';
import { Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toItems, toPluginView } from '../to-view.ts';
import { itemsOf, PluginView, refTo } from '../view-schema.ts';

const PLUGIN_NAME_CHARS = 50;
const PluginParams = Strict({ plugin: Type.String({ minLength: 1, maxLength: PLUGIN_NAME_CHARS, description: 'Name of the plugin.' }) });

/** Its fields are those of configs/plugins.yaml, which the registry checks: one grammar for both. */
const DeclareBody = Type.Unsafe<JsonObject>({
  type: 'object',
  description: 'A plugin in the words of configs/plugins.yaml (docs/plugins.md), without `command`: programs are started by the file alone.',
  required: ['name', 'type'],
  properties: {
    name: { type: 'string', description: 'Lower-case letters, digits and -.' },
    type: { enum: ['runtime-worker', 'mcp'] },
    image: { type: 'string' },
    address: { type: 'string', description: 'HOST:PORT, dns:///NAME:PORT or unix:/PATH.' },
    url: { type: 'string', description: 'Of an MCP server.' },
    tls: { type: 'object' },
    secrets: { type: 'array', items: { type: 'string' } },
  },
  examples: [{ name: 'soc-tools', type: 'runtime-worker', address: 'dns:///soc-tools.agents.svc:50051', tls: { ca: '/etc/openeaap/ca.pem' }, secrets: ['THREAT_INTEL_KEY'] }],
});

const AcceptBody = Strict({ tools: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { minItems: 1, maxItems: 256, description: 'Names as the server has them; default: all that are withheld.' })) });

/** Plugins: what they are, how they are, and how they come and go. */
export const pluginRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.get('/plugins', {
    config: { scope: 'tools:read' },
    schema: { operationId: 'listPlugins', tags: ['plugins'], summary: 'List plugins and their health', querystring: Strict({}), response: { 200: itemsOf(PluginView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listPlugins(callerOf(request)), toPluginView)),
  });

  app.get('/plugins/:plugin', {
    config: { scope: 'tools:read', errors: ['not_found'] },
    schema: { operationId: 'getPlugin', tags: ['plugins'], summary: 'Get a plugin', params: PluginParams, response: { 200: refTo(PluginView) } },
    handler: async (request, reply) => reply.code(200).send(toPluginView(await port.getPlugin(callerOf(request), request.params.plugin))),
  });

  app.post('/plugins', {
    config: { scope: 'plugins:write', errors: ['conflict'] },
    schema: {
      operationId: 'declarePlugin',
      tags: ['plugins'],
      summary: 'Declare a plugin, or declare it anew',
      description: 'Every node connects to it. A changed declaration replaces the running copies when the new ones are ready; if they never are, the old ones stay.',
      body: DeclareBody,
      response: { 200: refTo(PluginView), 201: refTo(PluginView) },
    },
    handler: async (request, reply) => {
      const { plugin, created } = await port.declarePlugin(callerOf(request), request.body);
      return reply.code(created ? 201 : 200).header('location', `/api/v1/plugins/${plugin.name}`).send(toPluginView(plugin));
    },
  });

  app.delete('/plugins/:plugin', {
    config: { scope: 'plugins:write', errors: ['not_found', 'conflict'] },
    schema: { operationId: 'removePlugin', tags: ['plugins'], summary: 'Remove a plugin', description: 'Steps under way get 30 s; its tools are gone at once.', params: PluginParams, response: { 204: Type.Null() } },
    handler: async (request, reply) => {
      await port.removePlugin(callerOf(request), request.params.plugin);
      return reply.code(204).send(null);
    },
  });

  app.post('/plugins/:plugin/restart', {
    config: { scope: 'plugins:write', errors: ['not_found', 'conflict'] },
    schema: { operationId: 'restartPlugin', tags: ['plugins'], summary: 'Replace the copies of a plugin', description: 'On every node, each when its successor is ready.', params: PluginParams, body: Strict({}), response: { 202: refTo(PluginView) } },
    handler: async (request, reply) => reply.code(202).send(toPluginView(await port.restartPlugin(callerOf(request), request.params.plugin))),
  });

  app.post('/plugins/:plugin/accept', {
    config: { scope: 'plugins:write', errors: ['not_found'] },
    schema: {
      operationId: 'acceptPluginTools',
      tags: ['plugins'],
      summary: 'Accept tools of an MCP server that have changed',
      description: 'A tool whose description or schema is not what was seen first is withheld until somebody has read it.',
      params: PluginParams,
      body: AcceptBody,
      response: { 200: refTo(PluginView) },
    },
    handler: async (request, reply) => reply.code(200).send(toPluginView(await port.acceptPluginTools(callerOf(request), request.params.plugin, request.body.tools ?? null))),
  });

  done();
};
