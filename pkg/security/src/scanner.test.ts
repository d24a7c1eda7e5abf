import { describe, expect, it } from 'vitest';
import { createScanner } from './scanner.ts';

const POLICY = [
  { name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' },
  { name: 'aws_ak', regex: '(AKIA|ASIA)[0-9A-Z]{16}', action: 'redact' },
] as const;
const both = createScanner({ policyRules: POLICY, builtin: true });

const shown = (text: string, scanner = both): readonly (readonly [string, string, string])[] => scanner.scan(text).map(({ start, end, rule, action }) => [rule, action, text.slice(start, end)]);

describe('a scanner', () => {
  it('finds what the policy and the built-in recognisers find, in order, with the name of each', () => {
    expect(shown('mail bob@corp.example, 13800138000, key AKIAIOSFODNN7EXAMPLE on 10.1.2.3')).toEqual([
      ['email', 'mask', 'bob@corp.example'],
      ['phone_number', 'mask', '13800138000'],
      ['aws_ak', 'redact', 'AKIAIOSFODNN7EXAMPLE'],
      ['ip', 'mask', '10.1.2.3'],
    ]);
  });

  it('makes one of spans that overlap, and a removal wins', () => {
    expect(shown('打 +86 13800138000 吧')).toEqual([['phone_number', 'mask', '+86 13800138000']]);
    const scanner = createScanner({ policyRules: [{ name: 'line', regex: 'user .*', action: 'mask' }, ...POLICY], builtin: true });
    expect(shown('user AKIAIOSFODNN7EXAMPLE', scanner)).toEqual([['aws_ak', 'redact', 'user AKIAIOSFODNN7EXAMPLE']]);
  });

  it.each([
    ['a zero-width space', '138\u200B00138000', '138\u200B00138000'],
    ['many of them before and within', '\u200B\u200Bx \u00AD1\u200B3\u200B800\u200B138000\u200B', '1\u200B3\u200B800\u200B138000'],
    ['NUL', '138\u000000138000', '138\u000000138000'],
    ['a lone surrogate', '138\uD80000138000', '138\uD80000138000'],
    ['no-break spaces', '138\u00A00013\u00A08000', '138\u00A00013\u00A08000'],
    ['typographic dashes', '138\u20110013\u20118000', '138\u20110013\u20118000'],
    ['full-width digits', '１３８００１３８０００', '１３８００１３８０００'],
  ])('finds a number with %s in it, at its place', (_name, text, found) => {
    expect(shown(text).map(([, , value]) => value)).toEqual([found]);
  });

  it('gives the same answer again for a text that it remembers', () => {
    const long = `${'plain words and nothing else '.repeat(20)}end`;
    expect([both.scan(long), both.scan(long)]).toEqual([[], []]);
    expect(shown(`${long} 13800138000`)).toEqual([['phone_number', 'mask', '13800138000']]);
    // As UTF-8 both would have the same bytes.
    const pair = ['138\uFFFD00138000', '138\uD80000138000'].map((number) => `${long} ${number}`);
    expect(pair.map((text) => both.scan(text).length)).toEqual([0, 1]);
  });

  it('asks many rules at once and still tells them apart', () => {
    const policyRules = Array.from({ length: 300 }, (_, n) => ({ name: `project_${n}`, regex: `(?i)bluebird-${n}\\b`, action: 'hash' as const }));
    const scanner = createScanner({ policyRules, builtin: false });
    expect(shown('see BlueBird-7 and bluebird-299, not bluebird-300', scanner)).toEqual([['project_7', 'hash', 'BlueBird-7'], ['project_299', 'hash', 'bluebird-299']]);
  });

  it('refuses a pattern that RE2 refuses', () => {
    expect(() => createScanner({ policyRules: [{ name: 'bad', regex: '(?<=a)b', action: 'mask' }], builtin: false })).toThrow(/masking rule 'bad'/);
  });

  it('knows names of secrets only with the built-in pack', () => {
    expect([both.isSecretKey('client_secret'), both.isSecretKey('city'), createScanner({ policyRules: [], builtin: false }).isSecretKey('password')]).toEqual([true, false, false]);
  });
});
