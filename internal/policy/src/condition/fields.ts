import type { DecisionRequest, JsonValue } from '@openeaap/kernel';

/** No value: the field is missing, or an operator was given what it cannot work on. */
export const ERROR = Symbol('error value');
export type Value = JsonValue | typeof ERROR;

type ReadField = (request: DecisionRequest) => Value;

/**
 * Every path that a condition may name. All but `input` are closed: another name is refused at load.
 *
 * | path | kind | |
 * |---|---|---|
 * | `input.*` | JSON | the arguments of the call; own properties only; no value in a think |
 * | `user.id` `user.tenant_id` | text | |
 * | `user.groups` | list of text | bare names, without `group:` |
 * | `user.clearance` | 1, 2, 3 | Public, Internal, Confidential |
 * | `agent.id` `agent.name` `agent.version` | text | |
 * | `run.id` | text | |
 * | `run.step` | number | |
 * | `run.tokens_used` | number | prompt and completion tokens so far |
 * | `tool.name` `tool.version` | text | no value in a think |
 * | `tool.effect` | text | `read`, `write`, `egress`, `destructive`; no value in a think |
 * | `taint.untrusted` `taint.injection` | boolean | what the run has read so far |
 * | `time.hour` | 0 to 23 | UTC |
 * | `time.weekday` | 1 (Monday) to 7 (Sunday) | UTC |
 * | `time.iso` | text | e.g. `2026-11-22T10:15:30.000Z` |
 */
export const FIELDS: ReadonlyMap<string, ReadonlyMap<string, ReadField>> = new Map([
  [
    'user',
    new Map<string, ReadField>([
      ['id', (request) => request.principal.userId],
      ['tenant_id', (request) => request.principal.tenantId],
      ['groups', (request) => request.principal.groups],
      ['clearance', (request) => request.principal.clearance],
    ]),
  ],
  [
    'agent',
    new Map<string, ReadField>([
      ['id', (request) => request.agent.id],
      ['name', (request) => request.agent.name],
      ['version', (request) => request.agent.version],
    ]),
  ],
  [
    'run',
    new Map<string, ReadField>([
      ['id', (request) => request.run.id],
      ['step', (request) => request.run.stepNo],
      ['tokens_used', (request) => request.run.tokensUsed],
    ]),
  ],
  [
    'tool',
    new Map<string, ReadField>([
      ['name', (request) => (request.kind === 'act' ? request.tool.name : ERROR)],
      ['version', (request) => (request.kind === 'act' ? request.tool.version : ERROR)],
      ['effect', (request) => (request.kind === 'act' ? request.tool.effect : ERROR)],
    ]),
  ],
  [
    'taint',
    new Map<string, ReadField>([
      ['untrusted', (request) => request.taint.untrusted],
      ['injection', (request) => request.taint.injection],
    ]),
  ],
  [
    'time',
    new Map<string, ReadField>([
      ['hour', (request) => request.now.getUTCHours()],
      ['weekday', (request) => ((request.now.getUTCDay() + 6) % 7) + 1],
      ['iso', (request) => request.now.toISOString()],
    ]),
  ],
]);

export const ROOTS: readonly string[] = ['input', ...FIELDS.keys()];

/** One own property of an object: the shortest path, and the commonest. */
export function readOwn(value: JsonValue, key: string): Value {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return ERROR;
  const found = (value as { readonly [key: string]: JsonValue | undefined })[key];
  return found === undefined ? ERROR : found;
}

/** Follows `keys` through own properties and list elements only: a prototype is never seen. */
export function readPath(start: Value, keys: readonly (string | number)[]): Value {
  let value: unknown = start;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null) return ERROR;
    if (Array.isArray(value) ? typeof key !== 'number' || !Object.hasOwn(value, key) : typeof key !== 'string' || !Object.hasOwn(value, key)) return ERROR;
    value = (value as Readonly<Record<string | number, unknown>>)[key];
  }
  return value === undefined ? ERROR : (value as Value);
}
