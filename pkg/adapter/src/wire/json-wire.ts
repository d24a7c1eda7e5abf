import type { ErrorCode, JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { WIRE_LIMITS } from './wire-limits.ts';

export interface JsonField {
  /** Of the message, for the error: `proposal.output`. */
  readonly field: string;
  readonly maxBytes: number;
  /** Of the error when the text cannot be used. */
  readonly code: ErrorCode;
  /** What the control plane says itself is as deep as it is. */
  readonly maxDepth?: number;
}

/** JSON text of a peer as a value. Errors: PlatformError with the field's code; the message names the field and the cure. */
export function jsonFromWire(text: string, { field, maxBytes, code, maxDepth = WIRE_LIMITS.jsonDepth }: JsonField): JsonValue {
  const refuse = (why: string): PlatformError => new PlatformError(code, `${field} ${why}`, { details: { field } });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw refuse(`has ${bytes} bytes; at most ${maxBytes} are taken.`);
  const parsed = parseJson(text);
  if (!parsed.ok) throw refuse('is not JSON. Write every value as JSON text, a string in quotes.');
  if (maxDepth < Infinity && isDeeper(parsed.value, maxDepth)) throw refuse(`is nested deeper than ${maxDepth} levels.`);
  return parsed.value;
}

export function parseJson(text: string): { readonly ok: true; readonly value: JsonValue } | { readonly ok: false } {
  try {
    return { ok: true, value: JSON.parse(text) as JsonValue };
  } catch {
    return { ok: false };
  }
}

/** Stops at `levels`, so it cannot be made to recurse further. */
function isDeeper(value: JsonValue, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item: JsonValue) => isDeeper(item, levels - 1));
}

/** No store holds U+0000 and no canonical JSON half a surrogate pair. */
const UNSTORABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** Text of a peer that is kept or shown: cut, and without what nothing can store. */
export function textFromWire(text: string, maxChars: number): string {
  return text.slice(0, maxChars).replace(UNSTORABLE, '');
}

/** A value of a peer that is kept as it is: without what nothing can store, in keys as in values. */
export function storableJson(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.replace(UNSTORABLE, '');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(storableJson);
  return Object.fromEntries(Object.entries(value).map(([key, item]: [string, JsonValue]) => [key.replace(UNSTORABLE, ''), storableJson(item)]));
}

/** A whole number that protobuf's uint32 can hold. */
export function toUint32(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(Math.trunc(value), 0), 0xffff_ffff) : 0;
}

/** The same for the positive half of int32. */
export const toPositiveInt32 = (value: number): number => Math.min(toUint32(value), 0x7fff_ffff);
