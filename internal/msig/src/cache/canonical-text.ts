import { endOfString, skipSpace } from '../json-text.ts';

/**
 * One text for all texts of the same JSON: without space, members in the order of their keys,
 * escapes written one way. It works on the text, not on the parsed value, so that what a parser
 * makes equal stays apart: numbers beyond 2^53 and `1e400` keep their digits, and a key that stands
 * twice keeps both values (a server may read the other one). `text` must be valid JSON.
 */
export interface CanonicalText {
  readonly text: string;
  /** The parsed value says the same as the text: no number lost digits, no key stood twice. */
  readonly isFaithful: boolean;
}

/** Members of the top level in `without` are left out. Deeper than this the text is taken as it is: our stack is not the client's. */
const DEPTH_MAX = 500;

interface Reader {
  readonly text: string;
  at: number;
  isFaithful: boolean;
}

export function toCanonicalText(text: string, without: ReadonlySet<string>): CanonicalText {
  const reader: Reader = { text, at: 0, isFaithful: true };
  toNextToken(reader);
  const canonical = text[reader.at] === '{' ? readObject(reader, 0, without) : readValue(reader, 0);
  return canonical === null ? { text, isFaithful: false } : { text: canonical, isFaithful: reader.isFaithful };
}

const NOTHING: ReadonlySet<string> = new Set();

/** null: too deep. */
function readValue(reader: Reader, depth: number): string | null {
  if (depth > DEPTH_MAX) return null;
  const first = reader.text[reader.at];
  if (first === '"') return readString(reader);
  if (first === '{') return readObject(reader, depth, NOTHING);
  if (first === '[') return readArray(reader, depth);
  return readScalar(reader);
}

function readObject(reader: Reader, depth: number, without: ReadonlySet<string>): string | null {
  const members: { readonly key: string; readonly value: string }[] = [];
  const keys = new Set<string>();
  reader.at += 1;
  for (toNextToken(reader); reader.text[reader.at] === '"'; toNextToken(reader)) {
    const key = readString(reader);
    toNextToken(reader);
    // The colon.
    reader.at += 1;
    toNextToken(reader);
    const value = readValue(reader, depth + 1);
    if (value === null) return null;
    if (keys.has(key)) reader.isFaithful = false;
    keys.add(key);
    if (!without.has(key.slice(1, -1))) members.push({ key, value });
    toNextToken(reader);
    if (reader.text[reader.at] === ',') reader.at += 1;
  }
  reader.at += 1;
  // A stable sort: values of the same key stay in their order.
  members.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return `{${members.map(({ key, value }) => `${key}:${value}`).join(',')}}`;
}

function readArray(reader: Reader, depth: number): string | null {
  const items: string[] = [];
  reader.at += 1;
  for (toNextToken(reader); reader.text[reader.at] !== ']' && reader.at < reader.text.length; toNextToken(reader)) {
    const value = readValue(reader, depth + 1);
    if (value === null) return null;
    items.push(value);
    toNextToken(reader);
    if (reader.text[reader.at] === ',') reader.at += 1;
  }
  reader.at += 1;
  return `[${items.join(',')}]`;
}

/** `\u0041` and `\/` are other ways to write what most write plainly; the rest has one way. */
const OTHER_WAYS = /\\[u/]/;

function readString(reader: Reader): string {
  const start = reader.at;
  reader.at = endOfString(reader.text, start);
  const raw = reader.text.slice(start, reader.at);
  return OTHER_WAYS.test(raw) ? JSON.stringify(JSON.parse(raw)) : raw;
}

const SCALAR_END = /[,\]}\s]|$/g;
/** A double holds any 15 digits, and these exponents. */
const FAITHFUL_NUMBER = /^-?(?=(?:\D*\d){1,15}\D*$)\d+(?:\.\d+)?$|^-?\d(?:\.\d{1,14})?[eE][+-]?\d{1,2}$/;

function readScalar(reader: Reader): string {
  const start = reader.at;
  SCALAR_END.lastIndex = start;
  reader.at = SCALAR_END.exec(reader.text)?.index ?? reader.text.length;
  const raw = reader.text.slice(start, reader.at);
  if (raw !== 'true' && raw !== 'false' && raw !== 'null' && !FAITHFUL_NUMBER.test(raw)) reader.isFaithful = false;
  return raw;
}

function toNextToken(reader: Reader): void {
  reader.at = skipSpace(reader.text, reader.at);
}
