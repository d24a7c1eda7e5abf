import type { ToolOutcome } from '@openeaap/adapter';
import type { JsonObject, ToolSpec } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { evaluateExpression } from './evaluate-expression.ts';

export const CALCULATOR: ToolSpec = {
  name: 'calculator',
  version: '1.0.0',
  description:
    'Computes an arithmetic expression: + - * / % ^ and parentheses; min, max, sum, abs, round(x, places), sqrt, floor, ceil, log(x, base), log2, log10; pi, e. Example: round(412 / 60, 2). 计算算术表达式。',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { expression: { type: 'string', description: 'The expression, without units and without =.', minLength: 1, maxLength: 1_000 } },
    required: ['expression'],
    additionalProperties: false,
  },
  outputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { expression: { type: 'string' }, result: { type: 'number' } },
    required: ['expression', 'result'],
    additionalProperties: false,
  },
  effect: 'read',
  idempotent: true,
  /** Bounded by the length of the expression; it never waits. */
  timeoutMs: 1_000,
};

/** Errors: `tool_failed` with `details.position`, 1 being the first character. */
export function calculate(args: JsonObject): ToolOutcome {
  const expression = args['expression'];
  if (typeof expression !== 'string') throw new PlatformError('tool_failed', '"expression" is not text.', { details: { field: 'expression' } });
  const evaluation = evaluateExpression(expression);
  if (evaluation.kind === 'value') return { output: { expression, result: evaluation.value } };
  const { message, position } = evaluation;
  throw new PlatformError('tool_failed', `${message} (at character ${position}).`, { details: { field: 'expression', position } });
}
