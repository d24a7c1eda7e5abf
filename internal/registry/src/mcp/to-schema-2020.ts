import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';

/**
 * Most MCP servers say that their schemas are draft 7, and nearly all of those are valid in 2020-12 as well but for that
 * line and for tuples. A schema of any other dialect is left alone; whoever compiles it will say what is wrong.
 */
export function toSchema2020(schema: JsonObject): JsonObject {
  const { $schema: dialect, ...rest } = schema;
  if (typeof dialect !== 'string') return schema;
  if (/^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/.test(dialect)) return rest;
  if (/^https?:\/\/json-schema\.org\/draft-0[67]\/schema#?$/.test(dialect)) return convertTuples(rest) as JsonObject;
  return schema;
}

function convertTuples(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => convertTuples(item));
  if (!isJsonObject(value)) return value;
  const converted = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, convertTuples(item)]));
  const { items, additionalItems, ...rest } = converted;
  if (!Array.isArray(items)) return converted;
  return { ...rest, prefixItems: items, ...(additionalItems === undefined ? {} : { items: additionalItems }) };
}
