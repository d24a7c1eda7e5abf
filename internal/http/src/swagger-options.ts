import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { ErrorCode } from '@openeaap/kernel';
import { STATUS } from './problem.ts';
import type { Scope } from './scope.ts';

/** Version of the API, not of the server: it changes when the contract does. */
export const API_VERSION = '1.0.0';

/** Every route with a key can answer with these. */
const COMMON: readonly ErrorCode[] = ['invalid_input', 'unauthenticated', 'permission_denied', 'internal', 'unavailable'];
const WITH_BODY: readonly ErrorCode[] = ['payload_too_large'];

/** Settings of the OpenAPI generator. */
export function toSwaggerOptions(): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'OpenEAAP',
        version: API_VERSION,
        description: 'Durable, governed, audited agent runs. Every error is an RFC 9457 problem with a stable `code`. Times are RFC 3339 in UTC. Unknown fields in a request are refused; unknown fields in an answer are to be ignored.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: TAGS.map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An API key. Each operation names the scope that the key needs.' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same key, for clients that cannot set Authorization.' },
        },
      },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => (typeof json.$id === 'string' ? json.$id : `schema-${index}`) },
    transform: ({ schema, url, route }) => ({ url, schema: describe(schema, route.config ?? {}) }),
    transformObject: (document) => ('openapiObject' in document ? withOptionalBodies(document.openapiObject as OpenApi) : document.swaggerObject),
  };
}

const TAGS = [
  ['archive', 'Take old runs out of the database.'],
  ['runs', 'Start, watch, cancel and repeat the work of agents.'],
  ['approvals', 'Calls that wait for a person.'],
  ['agents', 'Agents and their versions.'],
  ['feedback', 'What was good and bad, and the training data that it becomes.'],
  ['triggers', 'Outside events that become runs.'],
  ['schedules', 'Runs that start by the clock.'],
  ['policies', 'What is allowed.'],
  ['audit', 'What happened, provably.'],
  ['knowledge', 'What agents look things up in.'],
  ['catalog', 'Tools, plugins and models of this installation.'],
  ['usage', 'Tokens and cost.'],
  ['model keys', 'Who may ask models directly, for how much.'],
  ['system', 'Probes and metrics; no key needed.'],
] as const;

interface RouteFacts {
  readonly scope?: Scope | null;
  readonly errors?: readonly ErrorCode[];
  readonly eventStream?: boolean;
}

type Described = Readonly<Record<string, unknown>> & { readonly hide?: boolean };

/** Adds what follows from the route's configuration: the security, the scope and the error answers. */
function describe<S extends object>(schema: S, { scope, errors = [], eventStream = false }: RouteFacts): S {
  const described = schema as Described;
  if (described.hide === true) return schema;
  const needsKey = scope !== undefined && scope !== null;
  const codes = [...(needsKey ? COMMON : []), ...(described['body'] === undefined ? [] : WITH_BODY), ...errors];
  const text = typeof described['description'] === 'string' ? `${described['description']}\n\n` : '';
  return {
    ...schema,
    ...(needsKey ? { security: [{ bearer: [] }, { apiKey: [] }], description: `${text}Scope: \`${scope}\`.` } : { security: [] }),
    response: { ...toResponses(described['response'], eventStream), ...toProblemResponses(codes) },
  };
}

const REASONS: Readonly<Record<string, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted' };

function toResponses(responses: unknown, eventStream: boolean): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries((responses ?? {}) as Readonly<Record<string, object>>).map(([status, response]) => {
      if ('content' in response) return [status, response];
      const stream = eventStream && status === '200' ? { 'text/event-stream': { schema: { type: 'string' } } } : {};
      return [status, { description: REASONS[status] ?? status, content: { 'application/json': { schema: response }, ...stream } }];
    }),
  );
}

function toProblemResponses(codes: readonly ErrorCode[]): Readonly<Record<string, object>> {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) byStatus.set(STATUS[code], (byStatus.get(STATUS[code]) ?? new Set()).add(code));
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [status, { description: [...names].join(', '), content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } } }]),
  );
}

interface OpenApi {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Operation {
  readonly requestBody?: { required?: boolean; readonly content?: Readonly<Record<string, { readonly schema?: { readonly required?: readonly string[] } }>> };
}

/** The generator says that every body is required; we take a missing one for `{}` where no field is. */
function withOptionalBodies(document: OpenApi): OpenApi {
  for (const operation of Object.values(document.paths ?? {}).flatMap((path) => Object.values(path))) {
    const fields = operation.requestBody?.content?.['application/json']?.schema?.required ?? [];
    if (operation.requestBody !== undefined && fields.length === 0) operation.requestBody.required = false;
  }
  return document;
}
