import { describe, expect, it } from 'vitest';
import { replaceMembers } from './replace-members.ts';

describe('replacing members of a JSON object’s text', () => {
  it.each([
    ['{}', '{"model":"m"}'],
    ['{"model":"old"}', '{"model":"m"}'],
    [' {\n "a" : 1 , "model" : {"model": [1, "}"]} , "b":2 } ', '{"model":"m","a" : 1,"b":2}'],
    ['{"seed":12345678901234567890,"temperature":1.0,"t":"\\u00e9 \\" } , \\\\","model":1}', '{"model":"m","seed":12345678901234567890,"temperature":1.0,"t":"\\u00e9 \\" } , \\\\"}'],
    ['{"mod\\u0065l":"a","model":"b","x":[{"model":"kept"}]}', '{"model":"m","x":[{"model":"kept"}]}'],
    ['{"a":true,"model":null,"b":-1.5e3}', '{"model":"m","a":true,"b":-1.5e3}'],
  ])('leaves every other character of %s', (text, expected) => {
    expect(replaceMembers(text, { model: '"m"' })).toBe(expected);
  });

  it('leaves members out', () => {
    expect(replaceMembers('{"a":1,"stream":true,"b":2}', { stream: null, a: null })).toBe('{"b":2}');
  });

  it('means the same as doing it to the object, for whatever JSON there is', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const texts = ['', 'a"b', '\\', '\\"', '{"x":[', ']}', ',', '世界 👩‍💻', '\n\t', 'model'];
    const value = (depth: number): unknown => {
      const kind = random(depth > 3 ? 4 : 6);
      if (kind === 0) return texts[random(texts.length)];
      if (kind === 1) return random(1_000) / 7;
      if (kind === 2) return null;
      if (kind === 3) return random(2) === 0;
      const items = Array.from({ length: random(4) }, () => value(depth + 1));
      return kind === 4 ? items : Object.fromEntries(items.map((item, at) => [texts[random(texts.length)] ?? at, item]));
    };
    for (let round = 0; round < 300; round += 1) {
      const object = { ...(random(2) === 0 ? { model: value(0) } : {}), ...Object.fromEntries(Array.from({ length: random(6) }, (_, at) => [`${texts[random(texts.length)]}${at}`, value(0)])) };
      const spaces = random(3);
      const changed = JSON.parse(replaceMembers(JSON.stringify(object, null, spaces), { model: '"m"', gone: null })) as unknown;
      expect(changed).toEqual({ ...object, model: 'm' });
    }
  });
});
