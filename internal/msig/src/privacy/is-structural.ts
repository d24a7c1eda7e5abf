import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';
import type { JsonPath } from './walk-json.ts';

const WORD_KEYS: ReadonlySet<unknown> = new Set(['role', 'type', 'status']);
const WORD_SHAPE = /^[a-z_]{1,32}$/;
const ID_KEYS: ReadonlySet<unknown> = new Set(['id', 'call_id', 'tool_call_id', 'item_id']);
const ID_SHAPE = /^[A-Za-z0-9_.:-]{1,128}$/;
const TURNS: ReadonlySet<unknown> = new Set(['messages', 'input', 'tools', 'tool_choice', 'functions', 'response_format', 'text']);

export interface BodyText {
  /** In the body itself. */
  readonly path: JsonPath;
  readonly value: string;
  readonly isSchema: boolean;
  readonly toolNames: ReadonlySet<string>;
}

/** Words of the API, ids and names of tools, where the API has them and in the shape that it gives them. Everything else is looked at. */
export function isStructural({ path, value, isSchema, toolNames }: BodyText): boolean {
  const key = path.at(-1);
  if (path.length === 1) return key === 'model' || (key === 'previous_response_id' && ID_SHAPE.test(value));
  if (!TURNS.has(path[0])) return false;
  if (WORD_KEYS.has(key)) return WORD_SHAPE.test(value);
  if (isSchema) return false;
  if (key === 'name') return toolNames.has(value);
  // Of a message or item, and of a call in it.
  return ID_KEYS.has(key) && ID_SHAPE.test(value) && (path.length === 3 || (path.length === 5 && path[2] === 'tool_calls'));
}

/** Of the request's own tools, in the shape that the API gives them. */
export function listToolNames(body: JsonObject): ReadonlySet<string> {
  const tools = [body['tools'], body['functions']].flatMap((list): readonly JsonValue[] => (Array.isArray(list) ? (list as readonly JsonValue[]) : []));
  const named = tools.filter(isJsonObject).flatMap((tool) => [tool, tool['function'], tool['custom']]).filter(isJsonObject);
  return new Set(named.flatMap(({ name }) => (typeof name === 'string' && ID_SHAPE.test(name) ? [name] : [])));
}
