import { endOfString, skipSpace } from '../json-text.ts';

/**
 * A JSON object's text with some members of its top level replaced (JSON text) or left out (null),
 * and every other character as it was: numbers beyond 2^53, key order and escapes survive. Each
 * occurrence of a replaced key goes, for of repeated keys the reader may take another than we do.
 * `text` must be a valid JSON object; the new members stand first.
 */
export function replaceMembers(text: string, members: Readonly<Record<string, string | null>>): string {
  let out = '{';
  for (const key in members) {
    const value = members[key];
    if (value !== null && value !== undefined) out += `${out === '{' ? '' : ','}${JSON.stringify(key)}:${value}`;
  }
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const end = endOfValue(text, skipSpace(text, skipSpace(text, keyEnd) + 1));
    if (!Object.hasOwn(members, keyOf(text, at, keyEnd))) out += `${out === '{' ? '' : ','}${text.slice(at, end)}`;
    // At a comma or at the closing brace.
    at = skipSpace(text, skipSpace(text, end) + 1);
  }
  return `${out}}`;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

function keyOf(text: string, start: number, end: number): string {
  const key = text.slice(start + 1, end - 1);
  return key.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : key;
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  return first === OPEN_BRACE || first === OPEN_BRACKET ? endOfNested(text, start) : endOfPlain(text, start);
}

function endOfNested(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** Of a number, true, false or null. */
function endOfPlain(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === CLOSE_BRACE || code <= SPACE) break;
  }
  return at;
}
