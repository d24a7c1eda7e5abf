import Fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { OpenAiPort } from './port.ts';
import type { OpenAiRoutesOptions } from './register-openai-routes.ts';
import { registerOpenAiRoutes } from './register-openai-routes.ts';

/**
 * The OpenAI API in a server of its own: it outlives the REST API when the node stops, since runs that come to a rest
 * still think, and agents in other processes think through it.
 */
export function createOpenAiDoor(port: OpenAiPort, options: OpenAiRoutesOptions & { readonly logger: FastifyBaseLogger }): FastifyInstance {
  const { logger, ...rest } = options;
  const app = Fastify({ loggerInstance: logger, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: true });
  registerOpenAiRoutes(app, port, rest);
  return app;
}
