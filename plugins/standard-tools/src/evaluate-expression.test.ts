import { describe, expect, test } from 'vitest';
import { evaluateExpression } from './evaluate-expression.ts';

describe('evaluateExpression', () => {
  test.each([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 3 - 2', 5],
    ['2 ^ 3 ^ 2', 512],
    ['-2 ^ 2', -4],
    ['2 ^ -1', 0.5],
    ['--3', 3],
    ['7 % 4', 3],
    ['8 / 4 / 2', 1],
    ['1.5e3 + .5', 1500.5],
    ['2 ** 10', 1024],
    ['６×７÷２', 21],
    ['round(412 / 60, 2)', 6.87],
    ['max(1, min(5, 3), -2)', 3],
    ['log(8, 2)', 3],
    ['LOG10(1000) + sqrt(16) + abs(-1) + floor(1.9) + ceil(1.1)', 11],
    ['sum(1,2,3)', 6],
    ['round(2 * pi, 3)', 6.283],
  ])('%s = %d', (text, value) => {
    const result = evaluateExpression(text);
    expect(result.kind).toBe('value');
    expect(result.kind === 'value' ? result.value : Number.NaN).toBeCloseTo(value, 12);
  });

  test.each([
    ['', 1],
    ['1 +', 4],
    ['1 2', 3],
    ['(1', 3],
    ['1)', 2],
    ['1 / 0', 3],
    ['sqrt(-1)', 1],
    ['9 ^ 9999', 3],
    ['1e999', 1],
    ['foo(1)', 1],
    ['constructor', 1],
    ['1 + __proto__', 5],
    ['process.exit(1)', 8],
    ['min()', 5],
    ['sqrt(1, 2)', 1],
    ['max 1', 5],
    ['2 $ 3', 3],
    ['1;2', 2],
  ])('%s is an error at character %d', (text, position) => {
    expect(evaluateExpression(text)).toEqual({ kind: 'error', message: expect.any(String), position });
  });

  test('bounds length and depth', () => {
    expect(evaluateExpression(`1${'+1'.repeat(1_000)}`).kind).toBe('error');
    expect(evaluateExpression('('.repeat(500)).kind).toBe('error');
    expect(evaluateExpression(`${'-'.repeat(999)}1`).kind).toBe('error');
    expect(evaluateExpression(`1${'+1'.repeat(499)}`)).toEqual({ kind: 'value', value: 500 });
  });
});
