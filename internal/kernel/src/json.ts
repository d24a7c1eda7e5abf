import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [key: string]: JsonValue };

/** RFC 8785 canonical JSON: the one text that is hashed, whatever the order of keys. */
export function toCanonicalJson(value: JsonValue): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('undefined has no canonical JSON');
  return text;
}

/** Lower-case hex SHA-256 of the canonical JSON of `value`. */
export function hashJson(value: JsonValue): string {
  return createHash('sha256').update(toCanonicalJson(value)).digest('hex');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
