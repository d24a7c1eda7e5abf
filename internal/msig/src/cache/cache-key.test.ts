import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf } from '../testing/cache-calls.ts';
import { createCacheKeys } from './cache-key.ts';
import { toCanonicalText } from './canonical-text.ts';

const keyOf = (text: string): string => createCacheKeys('k').exact(callOf({}, { text }));
const scopeOf = (text: string): string | null => createCacheKeys('k').scope(callOf({}, { text }), JSON.parse(text) as JsonObject, 'e');

describe('the key of an answer', () => {
  it('is the same however the same JSON is written, and another for every other value', () => {
    const random = seeded(7);
    const seen = new Map<string, string>();
    for (let round = 0; round < 500; round += 1) {
      const value: JsonObject = { model: 'm', round, content: randomValue(random, 4) };
      const key = keyOf(JSON.stringify(value));
      expect(keyOf(rewrite(value, random))).toBe(key);
      expect(seen.get(key)).toBeUndefined();
      seen.set(key, JSON.stringify(value));
      const { round: _round, ...rest } = value;
      expect(keyOf(JSON.stringify({ ...rest, round, content: [value['content'] ?? null] }))).not.toBe(key);
    }
  });

  it.each([
    ['numbers beyond 2^53', '{"seed":9007199254740993}', '{"seed":9007199254740992}'],
    ['numbers that are infinite to a parser', '{"seed":1e400}', '{"seed":1e500}'],
    ['digits that a double loses', '{"p":0.1234567890123456789}', '{"p":0.12345678901234567}'],
    ['a key that stands twice', '{"messages":"good","messages":"evil"}', '{"messages":"evil"}'],
    ['a nested key that stands twice', '{"a":{"b":1,"b":2}}', '{"a":{"b":2}}'],
    ['the order of a list', '{"a":[1,2]}', '{"a":[2,1]}'],
    ['a text that looks like a number', '{"a":"1"}', '{"a":1}'],
    ['null and nothing', '{"a":null}', '{}'],
    ['what is inside of a silent name', '{"a":{"user":"x"}}', '{"a":{"user":"y"}}'],
  ])('tells apart %s', (_name, a, b) => {
    expect(keyOf(a)).not.toBe(keyOf(b));
  });

  it('cannot be tried out by who does not know the secret', () => {
    const call = callOf({ a: 1 });
    expect(createCacheKeys('one').exact(call)).not.toBe(createCacheKeys('other').exact(call));
  });

  it('remembers texts, and no more than it may', () => {
    const keys = createCacheKeys('k');
    for (let at = 0; at < 10_000; at += 1) keys.exact(callOf({ at }));
    expect(keys.exact(callOf({ at: 1 }))).toBe(keyOf('{"at":1}'));
  });
});

describe('the scope of a question', () => {
  it('is none where the parsed body may not be what a server reads', () => {
    expect(scopeOf('{"a":1.50,"b":-0.25,"c":1e3}')).not.toBeNull();
    for (const text of ['{"a":1,"a":2}', '{"a":9007199254740993}', '{"a":1e400}', '{"a":[{"b":1,"b":1}]}']) expect(scopeOf(text)).toBeNull();
  });
});

describe('canonical text', () => {
  it('is JSON that says the same', () => {
    const random = seeded(3);
    for (let round = 0; round < 500; round += 1) {
      const value = { content: randomValue(random, 5) };
      const { text, isFaithful } = toCanonicalText(rewrite(value, random), new Set());
      expect(JSON.parse(text)).toEqual(value);
      expect(isFaithful).toBe(true);
    }
  });

  it('takes what is too deep as it is', () => {
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    expect(toCanonicalText(`{"a":${deep}}`, new Set())).toEqual({ text: `{"a":${deep}}`, isFaithful: false });
  });

  it('is quick on long strings of escapes', () => {
    const startedMs = performance.now();
    toCanonicalText(JSON.stringify({ a: '\\"\n'.repeat(200_000) }), new Set());
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const STRINGS = ['', 'a', 'b"c', 'back\\slash', 'line\nfeed', '日本', '😀', 'A', '/', '\u0007', ',', '{}', ' ', 'user'];

function randomValue(random: () => number, depth: number): JsonValue {
  const kind = Math.floor(random() * (depth === 0 ? 4 : 6));
  const count = Math.floor(random() * 4);
  if (kind === 0) return STRINGS[Math.floor(random() * STRINGS.length)] ?? '';
  if (kind === 1) return Math.round((random() - 0.5) * 1e6) / 1_000;
  if (kind === 2) return random() < 0.5;
  if (kind === 3) return null;
  if (kind === 4) return Array.from({ length: count }, () => randomValue(random, depth - 1));
  return Object.fromEntries(Array.from({ length: count }, (): [string, JsonValue] => [STRINGS[Math.floor(random() * STRINGS.length)] ?? '', randomValue(random, depth - 1)]));
}

/** The same value, with members in another order, space anywhere and other escapes. */
function rewrite(value: JsonValue, random: () => number): string {
  const space = (): string => ['', ' ', '\n', '\t', '\r\n'][Math.floor(random() * 5)] ?? '';
  if (typeof value === 'string') return escapeSome(value, random);
  if (Array.isArray(value)) return `[${space()}${(value as readonly JsonValue[]).map((item) => rewrite(item, random) + space()).join(`,${space()}`)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(() => random() - 0.5);
  return `{${space()}${members.map(([key, item]) => `${escapeSome(key, random)}${space()}:${space()}${rewrite(item, random)}${space()}`).join(`,${space()}`)}}`;
}

function escapeSome(text: string, random: () => number): string {
  const plain = JSON.stringify(text).slice(1, -1);
  if (plain.includes('\\')) return `"${plain}"`;
  return `"${Array.from(plain).map((char) => (random() < 0.3 ? [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('') : char === '/' && random() < 0.5 ? '\\/' : char)).join('')}"`;
}
