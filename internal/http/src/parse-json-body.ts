import type { JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { findJsonError } from './find-json-error.ts';

/** Deeper than any honest body; canonical JSON and PostgreSQL are recursive and would overflow far below 1 MB of brackets. */
const DEPTH_LEVELS = 100;

/** Half of a surrogate pair alone is no Unicode text. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Parses the text of a request body. Nothing (only white space) is `undefined`: whether a body is
 * needed is for the route's schema to say.
 * Throws `invalid_input` with line and column, or with the path of a value that cannot be stored.
 */
export function parseJsonBody(text: string): JsonValue | undefined {
  if (text.trim() === '') return undefined;
  const value = parse(text);
  refuseUnstorable(value);
  return value;
}

/** PostgreSQL stores neither U+0000 nor half of a surrogate pair, in JSON or in text. */
export const isStorable = (text: string): boolean => !text.includes('\0') && !LONE_SURROGATE.test(text);

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const found = findJsonError(text);
    const where = found === null ? '' : ` at line ${found.line}, column ${found.column}: expected ${found.expected}`;
    throw new PlatformError('invalid_input', `The body is not valid JSON${where}.`, {
      details: { field: '', in: 'body', ...found, cure: 'Send one JSON object, e.g. {"input": "…"}. JSON has no comments and no trailing commas.' },
      cause,
    });
  }
}

/** Walks without recursion: the depth is what is being checked. */
function refuseUnstorable(root: JsonValue): void {
  const rest: { readonly value: JsonValue; readonly path: string; readonly depth: number }[] = [{ value: root, path: '', depth: 0 }];
  for (let item = rest.pop(); item !== undefined; item = rest.pop()) {
    const { value, path, depth } = item;
    if (typeof value === 'string' && !isStorable(value)) throw unstorable(path, 'holds U+0000 or half of a surrogate pair, which cannot be stored');
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= DEPTH_LEVELS) throw unstorable(path.slice(0, 64), `is nested deeper than ${DEPTH_LEVELS} levels`);
    for (const [key, child] of Object.entries<JsonValue>(value)) {
      if (key === '__proto__') throw unstorable(path, 'has a key __proto__, which is not allowed');
      if (!isStorable(key)) throw unstorable(path, 'has a key with U+0000 or half of a surrogate pair, which cannot be stored');
      rest.push({ value: child, path: Array.isArray(value) ? `${path}[${key}]` : joinPath(path, key), depth: depth + 1 });
    }
  }
}

const joinPath = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

function unstorable(path: string, what: string): PlatformError {
  const subject = path === '' ? 'The body' : `\`${path}\``;
  return new PlatformError('invalid_input', `${subject} ${what}.`, { details: { field: path, in: 'body', cure: 'Remove it from the request.' } });
}
