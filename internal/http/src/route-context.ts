import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { ErrorCode } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { FastifyPluginOptions, FastifyRequest } from 'fastify';
import type { Caller, PlatformPort, TraceContext } from './port.ts';
import type { Scope } from './scope.ts';
import type { Sse } from './sse.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scope that a key needs; null: no key is needed. A route without it is not accepted. */
    scope?: Scope | null;
    /** Codes that this route can answer with, besides those that every route can; for OpenAPI. */
    errors?: readonly ErrorCode[];
    /** 200 can also be an event stream; for OpenAPI. */
    eventStream?: boolean;
  }
  interface FastifyRequest {
    /** Set by the authentication hook on every route with a scope. */
    caller: Caller | null;
    trace: TraceContext | null;
  }
}

/** What the files in `routes/` get. */
export interface RouteContext {
  readonly port: PlatformPort;
  readonly sse: Sse;
  readonly version: string;
}

export type Routes = (context: RouteContext) => FastifyPluginCallbackTypebox<FastifyPluginOptions>;

export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new PlatformError('internal', 'This route was reached without authentication.');
  return request.caller;
}

export function traceOf(request: FastifyRequest): TraceContext {
  return request.trace ?? { traceId: request.id, parentSpanId: null };
}
