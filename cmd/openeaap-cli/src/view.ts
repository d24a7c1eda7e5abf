import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { toJsonText, toPrintable } from './printable.ts';

/*
 * The command line shows what the server sends; it does not hold a second copy of the API's
 * schema. A field that is missing is shown as `-`, a field that is new is there with --json.
 * `textOf` and `blockOf` are the way to the terminal: what they return is printable.
 */

export function fieldOf(view: JsonValue | undefined, ...names: readonly string[]): JsonValue | undefined {
  let value = view;
  for (const name of names) value = isJsonObject(value) ? value[name] : undefined;
  return value;
}

/** A field as one piece of text: `-` when missing, JSON when it has parts. */
export function textOf(view: JsonValue | undefined, ...names: readonly string[]): string {
  const value = fieldOf(view, ...names);
  if (value === undefined || value === null || value === '') return '-';
  return typeof value === 'object' ? toJsonText(value) : toPrintable(String(value));
}

/** Parts on their own lines. */
export function blockOf(view: JsonValue | undefined, ...names: readonly string[]): string {
  const value = fieldOf(view, ...names);
  return typeof value === 'object' && value !== null ? toJsonText(value, 2) : textOf(value);
}

export function listOf(view: JsonValue | undefined, ...names: readonly string[]): readonly JsonValue[] {
  const value = fieldOf(view, ...names);
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

export function objectOf(view: JsonValue | undefined): JsonObject {
  return isJsonObject(view) ? view : {};
}
