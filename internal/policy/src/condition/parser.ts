import type { JsonValue } from '@openeaap/kernel';
import { POLICY_LIMITS } from '../limits.ts';
import { didYouMean } from '../suggest.ts';
import { ConditionError } from './error.ts';
import { FIELDS, ROOTS } from './fields.ts';
import { tokenize } from './lexer.ts';
import type { Token } from './lexer.ts';

export type BinaryOperator =
  | '==' | '!=' | '<' | '<=' | '>' | '>='
  | 'in' | 'not in' | 'contains' | 'icontains' | 'startswith' | 'endswith' | 'matches' | 'in_cidr';

export interface PathNode {
  readonly kind: 'path';
  readonly root: string;
  readonly keys: readonly (string | number)[];
  readonly at: number;
}

export type Node =
  | { readonly kind: 'literal'; readonly value: JsonValue; readonly at: number }
  | { readonly kind: 'list'; readonly items: readonly Node[]; readonly at: number }
  | PathNode
  | { readonly kind: 'not'; readonly operand: Node; readonly at: number }
  | { readonly kind: 'and' | 'or'; readonly left: Node; readonly right: Node; readonly at: number }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Node; readonly right: Node; readonly at: number }
  | { readonly kind: 'exists'; readonly path: PathNode; readonly at: number }
  | { readonly kind: 'size'; readonly operand: Node; readonly at: number };

/** How tightly operators bind: `or` < `and` < `not` < comparisons < `!`. */
const POWER = { lowest: 0, or: 10, and: 20, not: 30, compare: 40, bang: 50 } as const;

const COMPARISONS: ReadonlySet<string> = new Set([
  '==', '!=', '<', '<=', '>', '>=', 'in', 'contains', 'icontains', 'startswith', 'endswith', 'matches', 'in_cidr',
]);
const CONSTANTS: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>([
  ['always', true],
  ['never', false],
  ['true', true],
  ['false', false],
  ['null', null],
]);
/** CEL's spellings, as methods: `input.cmd.contains('rm')`. */
const METHODS: ReadonlyMap<string, BinaryOperator> = new Map<string, BinaryOperator>([
  ['contains', 'contains'],
  ['startsWith', 'startswith'],
  ['endsWith', 'endswith'],
  ['matches', 'matches'],
]);
const WORDS = ['and', 'or', 'not', 'exists', 'has', 'size', ...CONSTANTS.keys(), ...COMPARISONS];

interface Cursor {
  readonly tokens: readonly Token[];
  next: number;
  depth: number;
}

/** Pratt parser of the condition language. @throws ConditionError */
export function parseCondition(source: string): Node {
  if (source.trim() === '') throw new ConditionError(0, "the condition is empty; write 'always' or leave it out");
  if (source.length > POLICY_LIMITS.conditionChars) {
    throw new ConditionError(0, `the condition has ${source.length} characters; at most ${POLICY_LIMITS.conditionChars} are allowed; split the rule`);
  }
  const cursor: Cursor = { tokens: tokenize(source), next: 0, depth: 0 };
  const node = parseExpression(cursor, POWER.lowest);
  const rest = peek(cursor);
  if (rest.kind !== 'end') {
    const hint = rest.kind === 'word' ? didYouMean(rest.text, WORDS) : '';
    throw new ConditionError(rest.at, `an operator is expected here, not '${rest.text}'${hint}`);
  }
  return node;
}

function parseExpression(cursor: Cursor, power: number): Node {
  cursor.depth += 1;
  if (cursor.depth > POLICY_LIMITS.conditionDepth) {
    throw new ConditionError(peek(cursor).at, `the condition is nested deeper than ${POLICY_LIMITS.conditionDepth} levels`);
  }
  let left = parsePrefix(cursor);
  for (;;) {
    const infix = readInfix(cursor);
    if (infix === null || infix.power <= power) break;
    cursor.next += infix.tokens;
    const right = parseExpression(cursor, infix.power);
    left = infix.join(left, right);
    const after = infix.power === POWER.compare ? readInfix(cursor) : null;
    if (after?.power === POWER.compare) throw new ConditionError(after.at, 'comparisons cannot be chained; join two of them with and');
  }
  cursor.depth -= 1;
  return left;
}

interface Infix {
  readonly power: number;
  readonly tokens: number;
  readonly at: number;
  readonly join: (left: Node, right: Node) => Node;
}

function readInfix(cursor: Cursor): Infix | null {
  const token = peek(cursor);
  const { at } = token;
  if (token.kind !== 'word' && token.kind !== 'sign') return null;
  const logical = token.text === 'or' || token.text === '||' ? 'or' : token.text === 'and' || token.text === '&&' ? 'and' : null;
  if (logical !== null) return { power: POWER[logical], tokens: 1, at, join: (left, right) => ({ kind: logical, left, right, at }) };
  const negated = token.text === 'not' && cursor.tokens[cursor.next + 1]?.text === 'in';
  if (!negated && !COMPARISONS.has(token.text)) return null;
  const operator = negated ? 'not in' : (token.text as BinaryOperator);
  return { power: POWER.compare, tokens: negated ? 2 : 1, at, join: (left, right) => ({ kind: 'binary', operator, left, right, at }) };
}

function parsePrefix(cursor: Cursor): Node {
  const token = advance(cursor);
  switch (token.kind) {
    case 'string':
    case 'number':
      return parseMethods(cursor, { kind: 'literal', value: token.value, at: token.at });
    case 'word':
      return parseWord(cursor, token);
    case 'sign':
      return parseSign(cursor, token);
    default:
      throw new ConditionError(token.at, 'the condition ends here, but a value is missing');
  }
}

function parseSign(cursor: Cursor, token: Token): Node {
  if (token.text === '(') {
    const inner = parseExpression(cursor, POWER.lowest);
    expectSign(cursor, ')');
    return inner;
  }
  if (token.text === '!') return { kind: 'not', operand: parseExpression(cursor, POWER.bang), at: token.at };
  if (token.text === '[') return parseList(cursor, token.at);
  throw new ConditionError(token.at, `a value is expected here, not '${token.text}'`);
}

function parseWord(cursor: Cursor, token: Token): Node {
  const { at, text } = token;
  if (text === 'not') return { kind: 'not', operand: parseExpression(cursor, POWER.not), at };
  const constant = CONSTANTS.get(text);
  if (constant !== undefined) return { kind: 'literal', value: constant, at };
  if (text === 'exists' || text === 'has') {
    const bracketed = takeSign(cursor, '(');
    const path = parsePath(cursor, advance(cursor));
    if (bracketed) expectSign(cursor, ')');
    return { kind: 'exists', path, at };
  }
  if (text === 'size') {
    expectSign(cursor, '(');
    const operand = parseExpression(cursor, POWER.lowest);
    expectSign(cursor, ')');
    return { kind: 'size', operand, at };
  }
  return parseMethods(cursor, parsePath(cursor, token));
}

function parsePath(cursor: Cursor, token: Token): PathNode {
  const { at } = token;
  if (token.kind !== 'word' || !ROOTS.includes(token.text)) {
    const hint = didYouMean(token.text, [...ROOTS, ...WORDS]);
    throw new ConditionError(at, `'${token.text}' is no field${hint}; fields begin with ${ROOTS.join(', ')}, and strings need quotes`);
  }
  const keys: (string | number)[] = [];
  for (;;) {
    if (isMethodCall(cursor)) break;
    if (takeSign(cursor, '.')) keys.push(expectWord(cursor));
    else if (takeSign(cursor, '[')) keys.push(parseKey(cursor));
    else break;
  }
  checkPath(token.text, keys, at);
  return { kind: 'path', root: token.text, keys, at };
}

function checkPath(root: string, keys: readonly (string | number)[], at: number): void {
  const fields = FIELDS.get(root);
  if (fields === undefined) return;
  const [field] = keys;
  const known = [...fields.keys()];
  if (typeof field !== 'string') throw new ConditionError(at, `'${root}' is no value by itself; write one of ${known.map((name) => `${root}.${name}`).join(', ')}`);
  if (!fields.has(field)) throw new ConditionError(at, `'${root}.${field}' is no field${didYouMean(field, known)}; known: ${known.join(', ')}`);
}

function parseKey(cursor: Cursor): string | number {
  const token = advance(cursor);
  if (token.kind !== 'string' && !(token.kind === 'number' && Number.isInteger(token.value) && token.value >= 0)) {
    throw new ConditionError(token.at, 'a whole number or a string is expected in [ ]');
  }
  expectSign(cursor, ']');
  return token.value;
}

function parseMethods(cursor: Cursor, receiver: Node): Node {
  if (!isMethodCall(cursor)) return receiver;
  cursor.next += 1;
  const name = advance(cursor);
  const operator = METHODS.get(name.text);
  if (operator === undefined) throw new ConditionError(name.at, `'${name.text}' is no method${didYouMean(name.text, [...METHODS.keys()])}; known: ${[...METHODS.keys()].join(', ')}`);
  expectSign(cursor, '(');
  const right = parseExpression(cursor, POWER.lowest);
  expectSign(cursor, ')');
  return { kind: 'binary', operator, left: receiver, right, at: name.at };
}

function isMethodCall(cursor: Cursor): boolean {
  const [dot, name, bracket] = cursor.tokens.slice(cursor.next, cursor.next + 3);
  return dot?.text === '.' && dot.kind === 'sign' && name?.kind === 'word' && bracket?.kind === 'sign' && bracket.text === '(';
}

function parseList(cursor: Cursor, at: number): Node {
  const items: Node[] = [];
  if (takeSign(cursor, ']')) return { kind: 'list', items, at };
  do {
    items.push(parseExpression(cursor, POWER.lowest));
    if (items.length > POLICY_LIMITS.conditionListItems) throw new ConditionError(at, `the list has more than ${POLICY_LIMITS.conditionListItems} items`);
  } while (takeSign(cursor, ','));
  expectSign(cursor, ']');
  return { kind: 'list', items, at };
}

function peek(cursor: Cursor): Token {
  const token = cursor.tokens[cursor.next] ?? cursor.tokens.at(-1);
  if (token === undefined) throw new ConditionError(0, 'the condition is empty');
  return token;
}

function advance(cursor: Cursor): Token {
  const token = peek(cursor);
  cursor.next += 1;
  return token;
}

function takeSign(cursor: Cursor, text: string): boolean {
  const token = peek(cursor);
  if (token.kind !== 'sign' || token.text !== text) return false;
  cursor.next += 1;
  return true;
}

function expectSign(cursor: Cursor, text: string): void {
  const token = peek(cursor);
  if (!takeSign(cursor, text)) throw new ConditionError(token.at, `'${text}' is expected here${token.kind === 'end' ? '' : `, not '${token.text}'`}`);
}

function expectWord(cursor: Cursor): string {
  const token = advance(cursor);
  if (token.kind !== 'word') throw new ConditionError(token.at, 'a field name is expected after the dot; for other names write input["the-name"]');
  return token.text;
}
