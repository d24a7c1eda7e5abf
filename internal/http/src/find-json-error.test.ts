import { describe, expect, it } from 'vitest';
import { findJsonError } from './find-json-error.ts';
import { parseJsonBody } from './parse-json-body.ts';

describe('findJsonError', () => {
  it.each([
    ['{"a":}', 1, 6, 'a value'],
    ['{"a":1,}', 1, 8, 'a key in double quotes'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, ', or }'],
    ['{"a" 1}', 1, 6, ':'],
    ['[1 2]', 1, 4, ', or ]'],
    ['[1,', 1, 4, 'a value'],
    ['{"input": "x", // comment\n"stream": true}', 1, 16, 'a key in double quotes'],
    ['{"a":1} x', 1, 9, 'the end'],
    ["{'a':1}", 1, 2, 'a key in double quotes or }'],
    ['{"a":01}', 1, 6, 'a value'],
    ['{"a":NaN}', 1, 6, 'a value'],
    ['"a\nb"', 1, 1, 'a value'],
    ['nul', 1, 1, 'a value'],
  ])('finds where %j stops being JSON', (text, line, column, expected) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(findJsonError(text)).toEqual({ line, column, expected });
  });

  it.each(['{}', '[]', ' {"a":[1,-2.5e3,true,false,null,"\\u00e9\\n",{"b":{}}]} ', '"x"', '0'])('finds nothing in %j, which is JSON', (text) => {
    expect(findJsonError(text)).toBeNull();
  });

  it('bears a million open brackets and a million characters', () => {
    expect(findJsonError('['.repeat(1_000_000))).toMatchObject({ column: 1_000_001 });
    expect(findJsonError(`{"a":"${'x\\n'.repeat(300_000)}",}`)).toMatchObject({ expected: 'a key in double quotes' });
  });
});

describe('parseJsonBody', () => {
  it('refuses what could not be stored: U+0000, half a surrogate pair, __proto__, endless nesting', () => {
    expect(() => parseJsonBody('{"a":{"b":["x\\u0000"]}}')).toThrow(/`a\.b\[0\]` holds U\+0000/);
    expect(() => parseJsonBody('{"a":"\\ud800"}')).toThrow(/surrogate/);
    expect(() => parseJsonBody('{"\\u0000":1}')).toThrow(/key with U\+0000/);
    expect(() => parseJsonBody('{"__proto__":{"x":1}}')).toThrow(/__proto__/);
    expect(() => parseJsonBody('['.repeat(200_000) + ']'.repeat(200_000))).toThrow(/nested deeper than 100 levels/);
    expect(parseJsonBody('{"a":"😀"}')).toEqual({ a: '😀' });
  });
});
