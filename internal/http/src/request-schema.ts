import type { TProperties } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import { LIMITS } from '@openeaap/kernel';
import { fromCursor } from './cursor.ts';
import type { PageRequest } from './port.ts';

/** Parts that the requests of several routes share. Unknown fields are refused everywhere. */
export const Strict = <P extends TProperties>(properties: P, options: { readonly examples?: unknown[] } = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

export const Uuid = (description: string) => Type.String({ format: 'uuid', description });

/** Names of agents, triggers and the like: no `@` and no `/`, which have a meaning of their own. */
export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]*$';
export const NAME_CHARS = 255;
export const VERSION_CHARS = 50;
/** `name@version`. */
export const AGENT_REF_CHARS = NAME_CHARS + 1 + VERSION_CHARS;

export const AgentRefParams = Strict({
  agent_id: Type.String({
    minLength: 1,
    maxLength: AGENT_REF_CHARS,
    description: 'UUID of an agent version; or a name, which means its current published version; or name@version.',
  }),
});

export const ScheduleParams = Strict({
  schedule_id: Type.String({ minLength: 1, maxLength: LIMITS.scheduleNameChars, description: 'Id or name of the schedule.' }),
});

export const RunParams = Strict({ run_id: Uuid('Id of the run.') });

export const PAGE = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.pageSizeCeiling, description: `Default ${LIMITS.pageSize}.` })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description: 'next_cursor of the page before.' })),
};

export const toPageRequest = (query: { readonly limit?: number; readonly cursor?: string }): PageRequest => ({
  limit: query.limit ?? LIMITS.pageSize,
  cursor: fromCursor(query.cursor),
});

export const RANGE = {
  from: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on; default: the beginning.' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time; default: now.' })),
};

export const toTimeRange = (query: { readonly from?: string; readonly to?: string }): { readonly from: Date | null; readonly to: Date | null } => ({
  from: query.from === undefined ? null : new Date(query.from),
  to: query.to === undefined ? null : new Date(query.to),
});
