import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf } from '../testing/cache-calls.ts';
import { createCacheKeys } from './cache-key.ts';
import { toCanonicalText } from './canonical-text.ts';

const keyOf = (text: string): string => createCacheKeys('k').exact(callOf({}, { text })).key;

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
    expect(createCacheKeys('one').exact(call).key).not.toBe(createCacheKeys('other').exact(call).key);
  });

  it('remembers so many and no more, of this caller and not of that one', () => {
    const keys = createCacheKeys('k');
    for (let at = 0; at < 10_000; at += 1) keys.exact(callOf({ at }));
    expect(keys.size()).toBeGreaterThanOrEqual(2_048);
    expect(keys.size()).toBeLessThanOrEqual(2 * 2_048);
    const size = keys.size();
    const [mine, again, other] = [{}, {}, { tenantId: 't2' }].map((access) => keys.exact(callOf({ at: 9_999 }, { access })));
    expect(again).toBe(mine);
    expect(other?.key).not.toBe(mine?.key);
    expect(keys.size()).toBe(size + 1);
    expect(keys.exact(callOf({ at: 1 })).key).toBe(keyOf('{"at":1}'));
  });

  it('counts what a response says again, and every wish for the stream', () => {
    const keyOfBody = (kind: 'chat' | 'responses', body: JsonObject): string => createCacheKeys('k').exact(callOf({ model: 'm', ...body }, { kind })).key;
    for (const member of ['user', 'metadata', 'safety_identifier', 'prompt_cache_key', 'service_tier']) {
      expect(keyOfBody('responses', { [member]: 'bob' })).not.toBe(keyOfBody('responses', { [member]: 'alice' }));
      expect(keyOfBody('chat', { [member]: 'bob' })).toBe(keyOfBody('chat', { [member]: 'alice' }));
    }
    expect(keyOfBody('chat', { stream_options: { brand_new: 1 } })).not.toBe(keyOfBody('chat', { stream_options: { brand_new: 2 } }));
  });

  it('tells a body that may not be what a server reads', () => {
    const isFaithful = (text: string): boolean => createCacheKeys('k').exact(callOf({}, { text })).isFaithful;
    expect(isFaithful('{"a":1.50,"b":-0.25,"c":1e3}')).toBe(true);
    for (const text of ['{"a":1,"a":2}', '{"a":9007199254740993}', '{"a":1e400}', '{"a":[{"b":1,"b":1}]}']) expect(isFaithful(text)).toBe(false);
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
