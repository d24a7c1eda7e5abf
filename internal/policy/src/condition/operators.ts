import { isJsonObject } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import { contains, parseIpRange } from '../cidr.ts';
import type { IpRange } from '../cidr.ts';
import { ERROR } from './fields.ts';
import type { Value } from './fields.ts';

export type Truth = boolean | typeof ERROR;
export type Operator = (left: JsonValue, right: JsonValue) => Truth;

/** Values of two kinds are not comparable (an error value), except with null. */
export const equals: Operator = (left, right) => {
  if (left === null || right === null) return left === right;
  if (typeof left !== 'object' && typeof left === typeof right) return left === right;
  return kindOf(left) === kindOf(right) ? isSame(left, right) : ERROR;
};

/** Numbers with numbers, texts with texts (by code unit, so ISO times compare as times). */
export function ordering(holds: (order: number) => boolean): Operator {
  return (left, right) => {
    if (typeof left === 'number' && typeof right === 'number') return holds(left - right);
    if (typeof left === 'string' && typeof right === 'string') return holds(left < right ? -1 : left > right ? 1 : 0);
    return ERROR;
  };
}

/** A list that holds only values of other kinds cannot say anything about `left`: an error value. */
export const isIn: Operator = (left, right) => {
  if (!Array.isArray(right)) return ERROR;
  const list = right as readonly JsonValue[];
  if (list.some((item) => isSame(left, item))) return true;
  return list.length === 0 || list.some((item) => kindOf(item) === kindOf(left)) ? false : ERROR;
};

/** Substring of a text, or element of a list. */
export const includes: Operator = (left, right) => {
  if (typeof left === 'string') return typeof right === 'string' ? left.includes(right) : ERROR;
  return Array.isArray(left) ? isIn(right, left) : ERROR;
};

export const includesIgnoringCase: Operator = (left, right) => {
  if (typeof right !== 'string') return ERROR;
  const wanted = right.toLowerCase();
  if (typeof left === 'string') return left.toLowerCase().includes(wanted);
  if (!Array.isArray(left)) return ERROR;
  return isIn(wanted, left.map((item: JsonValue) => (typeof item === 'string' ? item.toLowerCase() : item)));
};

export function onText(test: (left: string, right: string) => boolean): Operator {
  return (left, right) => (typeof left === 'string' && typeof right === 'string' ? test(left, right) : ERROR);
}

/** The address or the whole block lies in one of `ranges`; a text that is neither is an error value. */
export function isInRanges(left: Value, ranges: readonly IpRange[]): Truth {
  const range = typeof left === 'string' ? parseIpRange(left) : null;
  return range === null ? ERROR : ranges.some((outer) => contains(outer, range));
}

/** Characters of a text, elements of a list, members of an object. */
export function sizeOf(value: Value): Value {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return isJsonObject(value) ? Object.keys(value).length : ERROR;
}

function kindOf(value: JsonValue): string {
  return Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;
}

/** Depth is bounded by the limit on the size of a call's arguments. */
function isSame(left: JsonValue, right: JsonValue): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item: JsonValue, i) => isSame(item, (right as readonly JsonValue[])[i] ?? null));
  }
  if (!isJsonObject(left) || !isJsonObject(right)) return false;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && isSame(left[key] ?? null, right[key] ?? null));
}
