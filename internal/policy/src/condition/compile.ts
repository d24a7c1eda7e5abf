import type { DecisionRequest, JsonValue } from '@openeaap/kernel';
import { compileRegex } from '@openeaap/security';
import { parseIpRange } from '../cidr.ts';
import { POLICY_LIMITS } from '../limits.ts';
import { ConditionError } from './error.ts';
import { ERROR, FIELDS, readOwn, readPath } from './fields.ts';
import type { Value } from './fields.ts';
import { equals, includes, includesIgnoringCase, isIn, isInRanges, onText, ordering, sizeOf } from './operators.ts';
import type { Operator, Truth } from './operators.ts';
import { parseCondition } from './parser.ts';
import type { BinaryOperator, Node, PathNode } from './parser.ts';

/** A condition as closures: no text is looked at again when it is evaluated. */
export interface CompiledCondition {
  readonly source: string;
  /** The answer when it is the same for every request (`always`, `never`), otherwise null. */
  readonly constant: boolean | null;
  /** It names `input` or `tool`, which only an act has. */
  readonly needsAct: boolean;
  /** 'error' when a field is missing or an operator cannot work on what it is given. */
  evaluate(request: DecisionRequest): boolean | 'error';
}

export const ALWAYS: CompiledCondition = { source: 'always', constant: true, needsAct: false, evaluate: () => true };

/** @throws ConditionError */
export function compileCondition(source: string): CompiledCondition {
  const node = parseCondition(source);
  checkTruth(node);
  const constant = node.kind === 'literal' ? node.value === true : null;
  const run = compileNode(node);
  return {
    source,
    constant,
    needsAct: namesAct(node),
    evaluate: (request) => {
      const value = run(request);
      return typeof value === 'boolean' ? value : 'error';
    },
  };
}

type Evaluate = (request: DecisionRequest) => Value;

function compileNode(node: Node): Evaluate {
  switch (node.kind) {
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'list':
      return compileList(node.items);
    case 'path':
      return compilePath(node);
    case 'not':
      return compileNot(node.operand);
    case 'and':
      return compileLogical(node.left, node.right, false);
    case 'or':
      return compileLogical(node.left, node.right, true);
    case 'exists': {
      const read = compilePath(node.path);
      return (request) => read(request) !== ERROR;
    }
    case 'size': {
      const operand = compileNode(node.operand);
      return (request) => sizeOf(operand(request));
    }
    case 'binary':
      return compileBinary(node);
    default:
      return node satisfies never;
  }
}

function compilePath(node: PathNode): Evaluate {
  if (node.root === 'input') {
    const [only] = node.keys;
    if (node.keys.length === 1 && typeof only === 'string') return (request) => (request.kind === 'act' ? readOwn(request.input, only) : ERROR);
    return (request) => (request.kind === 'act' ? readPath(request.input, node.keys) : ERROR);
  }
  const [field, ...rest] = node.keys;
  const read = FIELDS.get(node.root)?.get(String(field));
  if (read === undefined) throw new ConditionError(node.at, `'${node.root}.${String(field)}' is no field`);
  return rest.length === 0 ? read : (request) => readPath(read(request), rest);
}

function compileList(items: readonly Node[]): Evaluate {
  const compiled = items.map(compileNode);
  const constants = items.flatMap((item) => (item.kind === 'literal' ? [item.value] : []));
  if (constants.length === items.length) return () => constants;
  return (request) => {
    const values: JsonValue[] = [];
    for (const item of compiled) {
      const value = item(request);
      if (value === ERROR) return ERROR;
      values.push(value);
    }
    return values;
  };
}

function compileNot(operand: Node): Evaluate {
  const evaluate = compileNode(operand);
  return (request) => {
    const value = evaluate(request);
    return typeof value === 'boolean' ? !value : ERROR;
  };
}

/** As in CEL: a side that decides alone outweighs an error value on the other, whichever comes first. */
function compileLogical(left: Node, right: Node, decisive: boolean): Evaluate {
  const first = compileNode(left);
  const second = compileNode(right);
  return (request) => {
    const a = first(request);
    if (a === decisive) return decisive;
    const b = second(request);
    if (b === decisive) return decisive;
    return typeof a === 'boolean' && typeof b === 'boolean' ? !decisive : ERROR;
  };
}

type BinaryNode = Extract<Node, { kind: 'binary' }>;

function compileBinary(node: BinaryNode): Evaluate {
  if (node.operator === 'matches') return compileMatches(node);
  if (node.operator === 'in_cidr') return compileInCidr(node);
  const left = compileNode(node.left);
  const right = compileNode(node.right);
  const operator = OPERATORS[node.operator];
  if (node.right.kind === 'literal') return compileWithLiteral(left, operator, node.right.value);
  return (request) => {
    const a = left(request);
    if (a === ERROR) return ERROR;
    const b = right(request);
    return b === ERROR ? ERROR : operator(a, b);
  };
}

/** The common shape, `field operator constant`, without the closure for the constant. */
function compileWithLiteral(left: Evaluate, operator: Operator, literal: JsonValue): Evaluate {
  return (request) => {
    const value = left(request);
    return value === ERROR ? ERROR : operator(value, literal);
  };
}

function negate(operator: Operator): Operator {
  return (left, right) => {
    const truth: Truth = operator(left, right);
    return truth === ERROR ? ERROR : !truth;
  };
}

const OPERATORS: Readonly<Record<Exclude<BinaryOperator, 'matches' | 'in_cidr'>, Operator>> = {
  '==': equals,
  '!=': negate(equals),
  '<': ordering((order) => order < 0),
  '<=': ordering((order) => order <= 0),
  '>': ordering((order) => order > 0),
  '>=': ordering((order) => order >= 0),
  in: isIn,
  'not in': negate(isIn),
  contains: includes,
  icontains: includesIgnoringCase,
  startswith: onText((left, right) => left.startsWith(right)),
  endswith: onText((left, right) => left.endsWith(right)),
};

function compileMatches(node: BinaryNode): Evaluate {
  if (node.right.kind !== 'literal' || typeof node.right.value !== 'string') {
    throw new ConditionError(node.right.at, 'matches needs a regular expression in quotes on its right');
  }
  const compiled = compileRegex(node.right.value);
  if (!compiled.ok) throw new ConditionError(node.right.at, compiled.problem);
  const left = compileNode(node.left);
  const { regex } = compiled;
  return (request) => {
    const value = left(request);
    return typeof value === 'string' && value.length <= POLICY_LIMITS.matchChars ? regex.test(value) : ERROR;
  };
}

function compileInCidr(node: BinaryNode): Evaluate {
  const items = node.right.kind === 'list' ? node.right.items : [node.right];
  const ranges = items.map((item) => {
    const range = item.kind === 'literal' && typeof item.value === 'string' ? parseIpRange(item.value) : null;
    if (range === null) throw new ConditionError(item.at, "in_cidr needs an address block in quotes, such as '10.0.0.0/8', or a list of them");
    return range;
  });
  const left = compileNode(node.left);
  return (request) => isInRanges(left(request), ranges);
}

/** Refuses at load what could never be true or false. */
function checkTruth(node: Node): void {
  const isValue = node.kind === 'list' || node.kind === 'size' || (node.kind === 'literal' && typeof node.value !== 'boolean');
  if (isValue) throw new ConditionError(node.at, 'something that is true or false is expected here; compare the value with something');
  if (node.kind === 'not') checkTruth(node.operand);
  if (node.kind === 'and' || node.kind === 'or') {
    checkTruth(node.left);
    checkTruth(node.right);
  }
}

function namesAct(node: Node): boolean {
  switch (node.kind) {
    case 'path':
      return node.root === 'input' || node.root === 'tool';
    case 'exists':
      return namesAct(node.path);
    case 'not':
    case 'size':
      return namesAct(node.operand);
    case 'list':
      return node.items.some(namesAct);
    case 'and':
    case 'or':
    case 'binary':
      return namesAct(node.left) || namesAct(node.right);
    case 'literal':
      return false;
    default:
      return node satisfies never;
  }
}
