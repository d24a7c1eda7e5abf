import type { JsonValue } from '@openeaap/kernel';
import { RE2JS } from 're2js';
import { lookUp } from './script-conversation.ts';
import type { ScriptConversation } from './script-conversation.ts';

/** A compiled condition. */
export type Condition = (conversation: ScriptConversation) => boolean;

const COMPARISON = /^([\w.]+)\s+(==|!=|>=|<=|>|<|contains|matches|exists|missing)(?:\s+([\s\S]+))?$/;

/**
 * Compiles `path operator value`, e.g. `result.check_ip_reputation.output.score >= 80`,
 * `result.x.error.message matches "(?i)expired"`, `ip exists`. The value is JSON. What is missing
 * is equal to nothing and greater or less than nothing. Throws a SyntaxError that says the cure.
 */
export function compileComparison(text: string, isKnown: (path: string) => boolean): Condition {
  const match = COMPARISON.exec(text.trim());
  if (match === null) throw new SyntaxError('write it like: result.TOOL.output.key >= 80, or: name exists');
  const [, path = '', operator = '', right] = match;
  if (!isKnown(path)) throw new SyntaxError(`"${path}" is neither a variable nor input, language or result.TOOL`);
  if (operator === 'exists' || operator === 'missing') {
    if (right !== undefined) throw new SyntaxError(`"${operator}" takes no value`);
    return (conversation) => (lookUp(conversation, path) !== undefined) === (operator === 'exists');
  }
  const value = parseValue(right);
  const holds = compileOperator(operator, value);
  return (conversation) => {
    const left = lookUp(conversation, path);
    return left !== undefined && holds(left);
  };
}

function parseValue(text: string | undefined): JsonValue {
  try {
    return JSON.parse(text ?? '') as JsonValue;
  } catch {
    throw new SyntaxError('the value on the right must be JSON: a number, true, false, null, or a text in double quotes');
  }
}

function compileOperator(operator: string, right: JsonValue): (left: JsonValue) => boolean {
  switch (operator) {
    case '==':
      return (left) => left === right;
    case '!=':
      return (left) => left !== right;
    case 'contains':
      return (left) => (Array.isArray(left) ? left.includes(right) : typeof left === 'string' && typeof right === 'string' && left.includes(right));
    case 'matches': {
      if (typeof right !== 'string') throw new SyntaxError('"matches" needs a pattern in double quotes');
      const pattern = compilePattern(right);
      return (left) => typeof left === 'string' && pattern.matcher(left).find();
    }
    default:
      if (typeof right !== 'number') throw new SyntaxError(`"${operator}" needs a number`);
      return (left) => typeof left === 'number' && compareNumbers(operator, left, right);
  }
}

function compareNumbers(operator: string, left: number, right: number): boolean {
  switch (operator) {
    case '>=':
      return left >= right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    default:
      return left < right;
  }
}

/** RE2, for scripts are written by users. Throws a SyntaxError. */
export function compilePattern(text: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (thrown) {
    throw new SyntaxError(`the pattern cannot be used: ${thrown instanceof Error ? thrown.message : 'unknown reason'} (patterns are RE2: no lookaround, no backreferences)`, { cause: thrown });
  }
}
