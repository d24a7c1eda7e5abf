import type { JsonValue } from '@openeaap/kernel';

const UNSTORABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/**
 * JSON without U+0000 and lone surrogates, in keys as in values. The database cannot hold them and
 * canonical JSON cannot hash them; so they go at the edge, and what is decided, approved, hashed,
 * stored and run is one and the same.
 */
export function toStorable<T extends JsonValue>(value: T): T {
  if (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')) return value;
  const text = JSON.stringify(value);
  return text.includes('\\u') && /\\u(?:0000|d[89a-f])/i.test(text) ? (strip(value) as T) : value;
}

function strip(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.replace(UNSTORABLE, '');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(strip);
  return Object.fromEntries(Object.entries(value as Readonly<Record<string, JsonValue>>).map(([key, item]) => [key.replace(UNSTORABLE, ''), strip(item)]));
}
