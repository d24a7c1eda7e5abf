// oxlint-disable-next-line no-control-regex -- JSON forbids exactly these in a string
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/;
const LITERAL = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/;
const TOKEN = new RegExp(String.raw`[ \t\n\r]*(?:([{}[\],:])|(${STRING.source})|(${LITERAL.source}))`, 'y');
const SPACE = /[ \t\n\r]*/y;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or }' | ', or ]' | 'the end';

/** Where a text stops being JSON: line and column from 1, and what should stand there. */
export interface JsonError {
  readonly line: number;
  readonly column: number;
  readonly expected: string;
}

/**
 * Finds the first place where `text` is not JSON (RFC 8259); null when all of it is.
 * `JSON.parse` names a position in some of its messages and none in others, so it cannot be
 * relied on. Runs only after `JSON.parse` has refused; no recursion, so depth is no danger.
 */
export function findJsonError(text: string): JsonError | null {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match: RegExpExecArray | null = TOKEN.exec(text);
    if (match === null) break;
    const [, mark, string, literal] = match;
    const next = step(expected, { mark, string, literal }, open);
    if (next === null) break;
    expected = next;
    at = TOKEN.lastIndex;
  }
  SPACE.lastIndex = at;
  SPACE.exec(text);
  const end = SPACE.lastIndex;
  return end === text.length && expected === 'the end' ? null : { ...toLineAndColumn(text, end), expected: WORDS[expected] };
}

interface Token {
  readonly mark: string | undefined;
  readonly string: string | undefined;
  readonly literal: string | undefined;
}

/** What may follow `token`; null when it may not stand here. `open` is the stack of open brackets. */
function step(expected: Expected, token: Token, open: ('{' | '[')[]): Expected | null {
  switch (expected) {
    case 'key':
    case 'key or }':
      if (token.string !== undefined) return ':';
      return expected === 'key or }' && token.mark === '}' ? close(open) : null;
    case ':':
      return token.mark === ':' ? 'value' : null;
    case ', or }':
      if (token.mark === ',') return 'key';
      return token.mark === '}' ? close(open) : null;
    case ', or ]':
      if (token.mark === ',') return 'value';
      return token.mark === ']' ? close(open) : null;
    case 'value':
    case 'value or ]':
      if (token.mark === '{' || token.mark === '[') {
        open.push(token.mark);
        return token.mark === '{' ? 'key or }' : 'value or ]';
      }
      if (token.string !== undefined || token.literal !== undefined) return afterValue(open);
      return expected === 'value or ]' && token.mark === ']' ? close(open) : null;
    default:
      return null;
  }
}

function close(open: ('{' | '[')[]): Expected {
  open.pop();
  return afterValue(open);
}

function afterValue(open: readonly ('{' | '[')[]): Expected {
  const inside = open.at(-1);
  if (inside === undefined) return 'the end';
  return inside === '{' ? ', or }' : ', or ]';
}

const WORDS: Readonly<Record<Expected, string>> = {
  value: 'a value',
  'value or ]': 'a value or ]',
  key: 'a key in double quotes',
  'key or }': 'a key in double quotes or }',
  ':': ':',
  ', or }': ', or }',
  ', or ]': ', or ]',
  'the end': 'the end',
};

function toLineAndColumn(text: string, at: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}
