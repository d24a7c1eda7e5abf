import { ConditionError } from './error.ts';

/** `at` is the offset in the condition, in UTF-16 units. */
export type Token =
  | { readonly kind: 'word'; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly text: string; readonly value: string; readonly at: number }
  | { readonly kind: 'number'; readonly text: string; readonly value: number; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly text: ''; readonly at: number };

const BLANK = /\s+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y;
const STRING = /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y;
const SIGN = /==|!=|<=|>=|&&|\|\||[<>!()[\],.]/y;

/** @throws ConditionError with the offset of the first character that means nothing. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    // A fresh copy: a sticky expression carries state, and this function has none.
    const sticky = new RegExp(pattern);
    sticky.lastIndex = at;
    return sticky.exec(source)?.[0];
  };
  for (;;) {
    at += take(BLANK)?.length ?? 0;
    if (at >= source.length) break;
    const token = nextToken(source, at, take);
    tokens.push(token);
    at += token.text.length;
  }
  return [...tokens, { kind: 'end', text: '', at: source.length }];
}

function nextToken(source: string, at: number, take: (pattern: RegExp) => string | undefined): Token {
  const word = take(WORD);
  if (word !== undefined) return { kind: 'word', text: word, at };
  const number = take(NUMBER);
  if (number !== undefined) return { kind: 'number', text: number, value: Number(number), at };
  const string = take(STRING);
  if (string !== undefined) return { kind: 'string', text: string, value: unquote(string), at };
  const sign = take(SIGN);
  if (sign !== undefined) return { kind: 'sign', text: sign, at };
  const char = source[at] ?? '';
  if (char === "'" || char === '"') throw new ConditionError(at, `the string that begins here has no closing ${char}`);
  if (char === '=') throw new ConditionError(at, "'=' is no operator; write '==' to compare");
  if (char === '|' || char === '&') throw new ConditionError(at, `'${char}' is no operator; write '${char}${char}'`);
  throw new ConditionError(at, `'${char}' means nothing here; strings need quotes`);
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** Any other escape keeps its backslash, so that `'\d+'` is the regular expression that it looks like. */
function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\([\s\S])/g, (whole, char: string) => ESCAPES.get(char) ?? whole);
}
