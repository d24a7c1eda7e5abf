import swagger from '@fastify/swagger';
import { LIMITS, PlatformError, randomIds } from '@openeaap/kernel';
import type { FastifyBaseLogger, FastifyInstance, FastifyServerOptions, RouteOptions } from 'fastify';
import fastify, { LogController } from 'fastify';
import { authenticate } from './authenticate.ts';
import { parseJsonBody } from './parse-json-body.ts';
import type { PlatformPort } from './port.ts';
import type { Refusal } from './problem.ts';
import { pathOf, sendProblem, sendRefusal, toRefusal } from './problem.ts';
import { AGENT_REF_CHARS } from './request-schema.ts';
import { agentRoutes } from './routes/agents.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { archiveRoutes } from './routes/archive.ts';
import { auditRoutes } from './routes/audit.ts';
import { catalogRoutes } from './routes/catalog.ts';
import { pluginRoutes } from './routes/plugins.ts';
import { createRunRoutes } from './routes/create-run.ts';
import { diagnosticsRoutes } from './routes/diagnostics.ts';
import { eventRoutes } from './routes/events.ts';
import { feedbackRoutes } from './routes/feedback.ts';
import { knowledgeRoutes } from './routes/knowledge.ts';
import { modelKeyRoutes } from './routes/model-keys.ts';
import { policyRoutes } from './routes/policies.ts';
import { runControlRoutes } from './routes/run-control.ts';
import { runRoutes } from './routes/runs.ts';
import { scheduleControlRoutes } from './routes/schedule-control.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { systemRoutes } from './routes/system.ts';
import { triggerRoutes } from './routes/triggers.ts';
import { usageRoutes } from './routes/usage.ts';
import { createSse } from './sse.ts';
import { toSwaggerOptions } from './swagger-options.ts';
import { toTraceContext } from './trace-context.ts';
import { compileValidator } from './validator.ts';
import { COMPONENTS } from './view-schema.ts';

export interface HttpAppOptions {
  /** Version of the server, told at `/`. */
  readonly version: string;
  /** A pino logger (or anything of its shape); false: silent. */
  readonly logger?: FastifyBaseLogger | false;
  readonly bodyLimitBytes?: number;
  readonly heartbeatMs?: number;
  /** Most bytes that wait in memory for one reader of an event stream. */
  readonly sseBufferBytes?: number;
  /** How long such a reader may leave a full buffer unread before it is disconnected. */
  readonly sseStallMs?: number;
  /** Most event streams at once. */
  readonly sseStreams?: number;
  /** false: a node that only drives runs answers probes and metrics, and nothing else. Default true. */
  readonly servesApi?: boolean;
  /** W3C trace ids: 32 lower-case hex characters. */
  readonly newTraceId?: () => string;
}

const BASE = '/api/v1';
const API_ROUTES = [createRunRoutes, runRoutes, runControlRoutes, eventRoutes, feedbackRoutes, approvalRoutes, agentRoutes, catalogRoutes, pluginRoutes, policyRoutes, auditRoutes, triggerRoutes, scheduleRoutes, scheduleControlRoutes, usageRoutes, modelKeyRoutes, knowledgeRoutes, diagnosticsRoutes, archiveRoutes];

/** Time in which a client must have sent its whole request: a slow sender must not hold a socket. */
const RECEIVE_TIMEOUT_MS = 30_000;

/**
 * The REST and SSE server over a port. It listens to nothing yet: call `listen`, or `inject` in a
 * test. `close()` ends the event streams, waits for the requests in flight, and frees the socket.
 */
export function createHttpApp(port: PlatformPort, options: HttpAppOptions): FastifyInstance {
  const { version, logger, limits, newTraceId, servesApi } = toTotal(options);
  const app = fastify({
    ...logger,
    bodyLimit: limits.bodyBytes,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'trace_id' }),
    exposeHeadRoutes: false,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    genReqId: (request) => toTraceContext(request.headers['traceparent'], newTraceId).traceId,
    routerOptions: { maxParamLength: AGENT_REF_CHARS },
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply.header('x-trace-id', request.id)),
  });
  const sse = createSse(limits.sse);
  const routes: RouteOptions[] = [];

  app.decorateRequest('caller', null);
  app.decorateRequest('trace', null);
  app.setValidatorCompiler(compileValidator);
  // The mappers are typed by the same schemas, so an answer needs no second check on its way out.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json(?:;|$)/, { parseAs: 'string' }, async (_request: unknown, text: string) => parseJsonBody(text));

  app.addHook('onRoute', (route) => {
    // Fail closed: a route that forgot to say what it needs must not exist.
    if (route.config?.scope === undefined) throw new Error(`Route ${route.url} declares no scope.`);
    routes.push(route);
  });
  app.addHook('onRequest', async (request, reply) => {
    request.trace = toTraceContext(request.headers['traceparent'], () => request.id);
    reply.headers({ 'x-trace-id': request.id, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    const { scope } = request.routeOptions.config;
    if (!request.is404 && scope !== null) request.caller = await authenticate(port, request, scope ?? '*');
  });
  app.addHook('onResponse', async (request, reply) => {
    request.log.debug({ method: request.method, route: request.routeOptions.url, status: reply.statusCode, durationMs: Math.round(reply.elapsedTime) }, 'request');
  });
  app.addHook('preClose', async () => sse.close());
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    return sendRefusal(toNotFound(request.method, path, methodsOf(routes, path)), request, reply);
  });

  for (const schema of COMPONENTS) app.addSchema(schema);
  app.register(swagger, toSwaggerOptions());
  const context = { port, sse, version };
  app.register(systemRoutes(context));
  for (const register of servesApi ? API_ROUTES : []) app.register(register(context), { prefix: BASE });
  return app;
}

function toTotal(options: HttpAppOptions) {
  const { logger } = options;
  const loggerOptions: Pick<FastifyServerOptions, 'logger' | 'loggerInstance'> =
    logger === undefined || logger === false ? { logger: false } : { loggerInstance: logger };
  return {
    version: options.version,
    servesApi: options.servesApi ?? true,
    logger: loggerOptions,
    newTraceId: options.newTraceId ?? randomIds.newTraceId,
    limits: {
      bodyBytes: options.bodyLimitBytes ?? LIMITS.requestBytes,
      sse: {
        // Proxies commonly cut a connection that is silent for 30 or 60 s.
        heartbeatMs: options.heartbeatMs ?? 15_000,
        bufferBytes: options.sseBufferBytes ?? 1_048_576,
        stallMs: options.sseStallMs ?? 15_000,
        streams: options.sseStreams ?? 10_000,
      },
    },
  };
}

/** The methods that exist for a path: a wrong one is a 405 that names them, not a 404. */
function methodsOf(routes: readonly RouteOptions[], path: string): readonly string[] {
  const parts = path.split('/');
  const found = routes.filter((route) => {
    const pattern = route.url.split('/');
    return pattern.length === parts.length && pattern.every((part, index) => (part.startsWith(':') ? parts[index] !== '' : part === parts[index]));
  });
  return [...new Set(found.flatMap((route) => route.method))];
}

function toNotFound(method: string, path: string, allowed: readonly string[]): Refusal {
  if (allowed.length === 0) {
    return toRefusal(new PlatformError('not_found', `There is no ${path} here.`, { details: { cure: 'See /openapi.json for the paths of this API.' } }));
  }
  const error = new PlatformError('invalid_input', `${path} does not take ${method}.`, { details: { cure: `Use ${allowed.join(' or ')}.` } });
  return { error, status: 405, headers: { allow: allowed.join(', ') } };
}
