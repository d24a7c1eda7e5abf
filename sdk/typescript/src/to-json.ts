import type { JsonValue } from '@openeaap/kernel';

/** A value of user code as JSON, as JSON.stringify would write it; undefined is null. Errors: TypeError that names `what`. */
export function toJson(value: unknown, what: string): JsonValue {
  try {
    const text = JSON.stringify(value);
    // Functions and symbols are written as nothing.
    if (text !== undefined) return JSON.parse(text) as JsonValue;
    if (value === undefined) return null;
  } catch (thrown) {
    throw new TypeError(`${what} is not JSON: ${thrown instanceof Error ? thrown.message : 'unknown'}`, { cause: thrown });
  }
  throw new TypeError(`${what} is a ${typeof value}, which is not JSON.`);
}
