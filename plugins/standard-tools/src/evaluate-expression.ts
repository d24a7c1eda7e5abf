/** Bounds: a model's arithmetic is short, and each level of nesting is a level of our stack. */
const EXPRESSION_CHARS = 1_000;
const DEPTH = 64;

export type Evaluation =
  | { readonly kind: 'value'; readonly value: number }
  /** `position`: 1 is the first character. */
  | { readonly kind: 'error'; readonly message: string; readonly position: number };

/**
 * The value of an arithmetic expression in double precision: `+ - * / % ^`, parentheses, decimal
 * numbers with exponents, `pi`, `e`, and functions. `^` binds to the right and tighter than a sign:
 * -2^2 is -4. A parser of our own: nothing is looked up on objects and nothing is executed.
 */
export function evaluateExpression(text: string): Evaluation {
  try {
    if (text.length > EXPRESSION_CHARS) throw new Fault(`The expression is longer than ${EXPRESSION_CHARS} characters`, EXPRESSION_CHARS);
    const parser = new Parser(toTokens(text), text.length);
    return { kind: 'value', value: parser.parseAll() };
  } catch (thrown) {
    if (thrown instanceof Fault) return { kind: 'error', message: thrown.message, position: thrown.offset + 1 };
    throw thrown;
  }
}

/** Leaves the recursion; never leaves this file. */
class Fault extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

interface Token {
  readonly kind: 'number' | 'name' | 'sign';
  readonly text: string;
  readonly offset: number;
}

const TOKEN = /\s*(?:(?<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_]\w*)|(?<sign>\*\*|[-+*/%^(),])|(?<other>\S))/gu;

function toTokens(text: string): readonly Token[] {
  return Array.from(text.normalize('NFKC').replaceAll('×', '*').replaceAll('÷', '/').matchAll(TOKEN), (match) => {
    const { number, name, sign, other = '' } = match.groups ?? {};
    const word = number ?? name ?? sign ?? other;
    const offset = match.index + match[0].length - word.length;
    if (number !== undefined) return { kind: 'number', text: word, offset };
    if (name !== undefined) return { kind: 'name', text: word.toLowerCase(), offset };
    if (sign !== undefined) return { kind: 'sign', text: word === '**' ? '^' : word, offset };
    throw new Fault(`Unexpected "${word}"`, offset);
  });
}

interface Operator {
  /** How tightly it holds its left and right side. */
  readonly left: number;
  readonly right: number;
  readonly apply: (a: number, b: number) => number;
}

const OPERATORS: Readonly<Record<string, Operator>> = {
  '+': { left: 10, right: 11, apply: (a, b) => a + b },
  '-': { left: 10, right: 11, apply: (a, b) => a - b },
  '*': { left: 20, right: 21, apply: (a, b) => a * b },
  '/': { left: 20, right: 21, apply: (a, b) => a / b },
  '%': { left: 20, right: 21, apply: (a, b) => a % b },
  '^': { left: 41, right: 40, apply: (a, b) => a ** b },
};
const SIGN_POWER = 30;

interface NamedFunction {
  readonly minArguments: number;
  readonly maxArguments: number;
  readonly apply: (...values: readonly number[]) => number;
}

const anyNumber = (apply: NamedFunction['apply']): NamedFunction => ({ minArguments: 1, maxArguments: EXPRESSION_CHARS, apply });
const one = (apply: (x: number) => number): NamedFunction => ({ minArguments: 1, maxArguments: 1, apply: (x = Number.NaN) => apply(x) });

const FUNCTIONS: ReadonlyMap<string, NamedFunction> = new Map([
  ['min', anyNumber(Math.min)],
  ['max', anyNumber(Math.max)],
  ['sum', anyNumber((...values) => values.reduce((total, value) => total + value, 0))],
  ['abs', one(Math.abs)],
  ['sqrt', one(Math.sqrt)],
  ['floor', one(Math.floor)],
  ['ceil', one(Math.ceil)],
  /** With a second argument: to so many decimal places. */
  ['round', { minArguments: 1, maxArguments: 2, apply: (x = Number.NaN, places = 0) => Math.round(x * 10 ** places) / 10 ** places }],
  /** Natural, or to the base of the second argument. */
  ['log', { minArguments: 1, maxArguments: 2, apply: (x = Number.NaN, base = Math.E) => (base === Math.E ? Math.log(x) : Math.log(x) / Math.log(base)) }],
  ['log2', one(Math.log2)],
  ['log10', one(Math.log10)],
]);

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
]);

/** A Pratt parser that evaluates as it reads. */
class Parser {
  private next = 0;
  private depth = 0;
  private readonly tokens: readonly Token[];
  private readonly end: number;

  constructor(tokens: readonly Token[], end: number) {
    this.tokens = tokens;
    this.end = end;
  }

  parseAll(): number {
    const value = this.parse(0);
    const rest = this.tokens[this.next];
    if (rest !== undefined) throw new Fault(`Unexpected "${rest.text}"`, rest.offset);
    return value;
  }

  private parse(minPower: number): number {
    this.depth += 1;
    if (this.depth > DEPTH) throw new Fault(`The expression is nested deeper than ${DEPTH} levels`, this.tokens[this.next]?.offset ?? this.end);
    let value = this.parseOperand();
    for (;;) {
      const token = this.tokens[this.next];
      const operator = token?.kind === 'sign' ? OPERATORS[token.text] : undefined;
      if (token === undefined || operator === undefined || operator.left < minPower) break;
      this.next += 1;
      value = finite(operator.apply(value, this.parse(operator.right)), token);
    }
    this.depth -= 1;
    return value;
  }

  private parseOperand(): number {
    const token = this.take('a number');
    if (token.kind === 'number') return finite(Number(token.text), token);
    if (token.kind === 'name') return this.parseName(token);
    if (token.text === '-') return -this.parse(SIGN_POWER);
    if (token.text === '+') return this.parse(SIGN_POWER);
    if (token.text !== '(') throw new Fault(`Expected a number, found "${token.text}"`, token.offset);
    const value = this.parse(0);
    this.expect(')');
    return value;
  }

  private parseName(token: Token): number {
    const constant = CONSTANTS.get(token.text);
    if (constant !== undefined) return constant;
    const named = FUNCTIONS.get(token.text);
    if (named === undefined) throw new Fault(`"${token.text}" is not known; use ${[...FUNCTIONS.keys(), ...CONSTANTS.keys()].join(', ')}`, token.offset);
    this.expect('(');
    const values = [this.parse(0)];
    while (this.tokens[this.next]?.text === ',') {
      this.next += 1;
      values.push(this.parse(0));
    }
    this.expect(')');
    if (values.length < named.minArguments || values.length > named.maxArguments) throw new Fault(`"${token.text}" takes at most ${named.maxArguments} values`, token.offset);
    return finite(named.apply(...values), token);
  }

  private expect(sign: string): void {
    const token = this.take(`"${sign}"`);
    if (token.text !== sign) throw new Fault(`Expected "${sign}", found "${token.text}"`, token.offset);
  }

  private take(expected: string): Token {
    const token = this.tokens[this.next];
    if (token === undefined) throw new Fault(`Expected ${expected}, but the expression ends`, this.end);
    this.next += 1;
    return token;
  }
}

/** Division by zero, the root of a negative number or too large a power has no value that a model should go on with. */
function finite(value: number, at: Token): number {
  if (Number.isFinite(value)) return value;
  throw new Fault(`"${at.text}" has no finite result here`, at.offset);
}
