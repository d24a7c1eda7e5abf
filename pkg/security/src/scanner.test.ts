import { describe, expect, it } from 'vitest';
import { createScanner } from './scanner.ts';

const POLICY = [
  { name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' },
  { name: 'aws_ak', regex: '(AKIA|ASIA)[0-9A-Z]{16}', action: 'redact' },
] as const;
const both = createScanner({ policyRules: POLICY, builtin: true });
const policyOnly = createScanner({ policyRules: POLICY, builtin: false });

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
    ['a zero-width space', '138\u200B00138000', 'phone_number'],
    ['NUL', '138\u000000138000', 'phone_number'],
    ['a control character', '138\u000100138000', 'phone_number'],
    ['a C1 control character', '138\u009B00138000', 'phone_number'],
    ['a lone surrogate', '138\uD80000138000', 'phone_number'],
    ['a soft hyphen', '138\u00AD00138000', 'phone_number'],
    ['a joiner of graphemes', '138\u034F00138000', 'phone_number'],
    ['a mark of Arabic letters', '138\u061C00138000', 'phone_number'],
    ['an embedding', '138\u202A00138000\u202C', 'phone_number'],
    ['an isolate', '138\u206600138000', 'phone_number'],
    ['a Mongolian separator', '138\u180E00138000', 'phone_number'],
    ['a Hangul filler', '138\u316400138000', 'phone_number'],
    ['a variation selector', '138\uFE0F00138000', 'phone_number'],
    ['a tag', '138\u{E0041}\u{E0042}00138000', 'phone_number'],
    ['an interlinear anchor', '138\uFFF900138000', 'phone_number'],
    ['full-width digits', '１３８００１３８０００', 'phone_number'],
    ['full-width digits and a zero-width space', '１３８００１\u200B３８０００', 'phone_number'],
    ['no-break spaces', '138\u00A00013\u00A08000', 'phone'],
    ['quads', '138\u20000013\u20018000', 'phone'],
    ['mathematical spaces', '138\u205F0013\u205F8000', 'phone'],
    ['Ogham spaces', '138\u16800013\u16808000', 'phone'],
    ['typographic dashes', '138\u20110013\u20118000', 'phone'],
    ['minus signs', '138\u22120013\u22128000', 'phone'],
    ['small hyphens', '138\uFE630013\uFE638000', 'phone'],
    ['full-width hyphens', '138\uFF0D0013\uFF0D8000', 'phone'],
    ['dashes of two units', '138\u{10EAD}0013\u{10EAD}8000', 'phone'],
  ])('finds a number with %s in it, at its place and by its name', (_name, number, rule) => {
    const found = number.replace(/\u202C$/, '');
    expect(shown(`至 ${number} or`)).toEqual([[rule, 'mask', found]]);
    // The policy's pattern has no room for blanks and dashes.
    expect(shown(number, policyOnly)).toEqual(rule === 'phone_number' ? [[rule, 'mask', found]] : []);
  });

  it('finds a number with many unseen characters before and within it', () => {
    expect(shown('\u200B\u200Bx \u00AD1\u200B3\u200B800\u{E0041}\u200B138000\u200B')).toEqual([['phone_number', 'mask', '1\u200B3\u200B800\u{E0041}\u200B138000']]);
  });

  it('removes for good what the policy redacts, in whatever letters', () => {
    for (const key of ['ＡＫＩＡ１２３４５６７８９０ＡＢＣＤＥＦ', 'AKIA1234\u{E0041}567890ABCDEF', 'AKIA1234\uFE0F567890ABCDEF']) expect(shown(`key ${key} end`)).toEqual([['aws_ak', 'redact', key]]);
  });

  it('lets lines and tabs be what they are', () => {
    for (const text of ['138\n00138000', '138\t00138000', '138\r\n00138000']) expect(shown(text, policyOnly)).toEqual([]);
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
