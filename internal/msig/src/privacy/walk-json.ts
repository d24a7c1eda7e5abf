import { endOfString, skipSpace } from '../json-text.ts';

/** The way down to a value: keys and places. It changes as the walk goes on; copy what is to be kept. */
export type JsonPath = readonly (string | number)[];

/** Where a literal stands in the text, `[start, end)`; a text's with its quotes. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

export interface JsonVisitor {
  readonly text: (place: Place, path: JsonPath) => void;
  readonly number?: (place: Place, path: JsonPath) => void;
  /** The literal of a key; `path` ends with what it says. */
  readonly key?: (place: Place, path: JsonPath) => void;
  /** An object or list begins, or ends: called with its own path and where its text begins, or ends. */
  readonly open?: (path: JsonPath, start: number) => void;
  readonly close?: (path: JsonPath, end: number) => void;
}

/** Deeper than any body that the gateway takes. */
const DEPTH_LEVELS = 256;

/**
 * Visits every literal of a JSON text at its place, so that one can be changed and every other
 * character stay as it was: numbers beyond 2^53, key order, escapes, and all members of an object
 * that has a key twice. `text` must be valid JSON; of what is not, the visits mean nothing.
 * Errors: RangeError (nested too deep), SyntaxError (an escape that is none).
 */
export function walkJson(text: string, visitor: JsonVisitor): void {
  walkValue({ text, visitor, path: [] }, skipSpace(text, 0));
}

interface Walk {
  readonly text: string;
  readonly visitor: JsonVisitor;
  readonly path: (string | number)[];
}

/** The place after the value that begins at `at`. */
function walkValue(walk: Walk, at: number): number {
  const { text, visitor, path } = walk;
  const first = text[at];
  if (first === '"') {
    const end = endOfString(text, at);
    visitor.text({ start: at, end }, path);
    return end;
  }
  if (first === '{' || first === '[') {
    if (path.length >= DEPTH_LEVELS) throw new RangeError(`JSON nested deeper than ${DEPTH_LEVELS} levels`);
    visitor.open?.(path, at);
    const end = first === '{' ? walkObject(walk, at) : walkList(walk, at);
    visitor.close?.(path, end);
    return end;
  }
  const end = endOfBare(text, at);
  if (first === '-' || (first !== undefined && first >= '0' && first <= '9')) visitor.number?.({ start: at, end }, path);
  return end;
}

function walkObject(walk: Walk, start: number): number {
  const { text, visitor, path } = walk;
  let at = skipSpace(text, start + 1);
  while (text[at] === '"') {
    const place = { start: at, end: endOfString(text, at) };
    path.push(decodeText(text, place));
    visitor.key?.(place, path);
    at = skipSpace(text, walkValue(walk, skipSpace(text, skipSpace(text, place.end) + 1)));
    path.pop();
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return at + 1;
}

function walkList(walk: Walk, start: number): number {
  const { text, path } = walk;
  let at = skipSpace(text, start + 1);
  for (let place = 0; at < text.length && text[at] !== ']'; place += 1) {
    path.push(place);
    at = skipSpace(text, walkValue(walk, at));
    path.pop();
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return at + 1;
}

/** What the literal of a text says. */
export function decodeText(text: string, { start, end }: Place): string {
  const inner = text.slice(start + 1, end - 1);
  return inner.includes('\\') ? (JSON.parse(`"${inner}"`) as string) : inner;
}

/** The place after a number, `true`, `false` or `null`; beyond `at` in any case, so that the walk ends. */
function endOfBare(text: string, at: number): number {
  const marks = /[,\]}\s]/g;
  marks.lastIndex = at + 1;
  return marks.exec(text)?.index ?? text.length;
}

export interface Replacement extends Place {
  readonly text: string;
}

/** The text with each replacement in its place; they are in order and do not overlap. */
export function replaceAt(text: string, replacements: readonly Replacement[]): string {
  let result = '';
  let done = 0;
  for (const { start, end, text: replacement } of replacements) {
    result += text.slice(done, start) + replacement;
    done = end;
  }
  return result + text.slice(done);
}
