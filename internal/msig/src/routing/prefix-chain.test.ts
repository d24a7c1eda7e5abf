import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { Access } from '../access.ts';
import type { VllmConfig } from '../config/gateway-config.ts';
import type { RequestKind } from '../request/model-request.ts';
import { hashText, PREFIX_BLOCKS_MAX, prefixChainOf } from './prefix-chain.ts';
import { createPrefixIndex } from './prefix-index.ts';
import { ACCESS, aBackend, aRequest } from './testing/a-fleet.ts';
import { seededRandom } from './testing/manual-time.ts';

const text = (seed: number, chars: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: chars }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('');
};

interface Options {
  readonly access?: Partial<Access>;
  readonly sharing?: VllmConfig['cacheSharing'];
  readonly kind?: RequestKind;
  readonly model?: string;
}

function chainOf(body: JsonObject, { access = {}, sharing = 'tenant', kind = 'chat', model = '' }: Options = {}) {
  const base = aBackend('a', { adapters: ['law'] });
  return prefixChainOf(aRequest({ body, kind, model }), { backend: { ...base, vllm: { ...base.vllm, cacheSharing: sharing } }, access: { ...ACCESS, ...access }, blockChars: 64 });
}

const say = (...contents: readonly string[]) => ({ messages: contents.map((content) => ({ role: 'user', content })) });
const common = (a: readonly number[], b: readonly number[]) => a.findIndex((hash, at) => hash !== b[at]);

describe('the chain of a prompt', () => {
  it('is as long as the prompt has whole blocks, and no longer than 32', () => {
    expect([chainOf(say('short')).length, chainOf(say(text(1, 64 * 3))).length, chainOf(say(text(1, 100_000))).length]).toEqual([0, 3, PREFIX_BLOCKS_MAX]);
  });

  it('is equal as far as the prompts are', () => {
    const start = text(1, 64 * 5);
    expect(common(chainOf(say(start, text(2, 300))), chainOf(say(start, text(3, 300))))).toBe(5);
    expect(common(chainOf(say(`x${start}`)), chainOf(say(`y${start}`)))).toBe(0);
    expect(chainOf(say(start, 'a'))).toEqual(chainOf(say(start, 'a')));
  });

  it('is another one for another salt, adapter or set of tools, as the cache of the server is', () => {
    const body = say(text(1, 200));
    const other: readonly (readonly [JsonObject, Options])[] = [[body, { access: { tenantId: 't2' } }], [body, { model: 'law' }], [{ ...body, tools: [{ type: 'function', function: { name: 'look' } }] }, {}]];
    for (const [changed, options] of other) expect(common(chainOf(changed, options), chainOf(body))).toBe(0);
    expect(chainOf(body, { access: { keyId: 'k2' } })).toEqual(chainOf(body));
    // A step has no key: its person's.
    expect(chainOf(body, { sharing: 'key', access: { userId: 'u2' } })).not.toEqual(chainOf(body, { sharing: 'key' }));
    expect(chainOf(body, { sharing: 'key', access: { userId: 'u2', keyId: 'k1' } })).toEqual(chainOf(body, { sharing: 'key', access: { keyId: 'k1' } }));
    expect(chainOf(body, { sharing: 'key', access: { keyId: 'k2' } })).not.toEqual(chainOf(body, { sharing: 'key', access: { keyId: 'k1' } }));
    expect(chainOf(body, { sharing: 'all', access: { tenantId: 't2' } })).toEqual(chainOf(body, { sharing: 'all' }));
  });

  it('is made of what the model reads first, in every form', () => {
    const long = text(1, 200);
    const blocks = (kind: RequestKind, body: JsonObject) => chainOf(body, { kind }).length;
    expect(blocks('chat', { messages: [{ role: 'system', content: [{ type: 'text', text: long }, { type: 'image_url' }] }] })).toBe(3);
    expect(blocks('completions', { prompt: long })).toBe(3);
    expect(blocks('responses', { instructions: long, input: long })).toBe(6);
    expect(blocks('responses', { input: [{ role: 'user', content: long }] })).toBe(3);
    for (const body of [{}, { messages: 'x' }, { messages: [null, 1, { role: 1, content: 1 }] }, { prompt: [1, 2] }]) {
      for (const kind of ['chat', 'completions', 'responses', 'embeddings', 'rerank'] as const) expect(blocks(kind, body)).toBe(0);
    }
  });

  it('is the same on every node', () => {
    // FNV-1a of "a" and "foobar", from its authors' test suite.
    expect([hashText('a'), hashText('foobar')]).toEqual([0xe4_0c_29_2c, 0xbf_9c_f9_68]);
  });
});

describe('the index of a server', () => {
  it('knows how much of a prompt it has seen', () => {
    const index = createPrefixIndex();
    index.insert([1, 2, 3]);
    expect([index.match([1, 2, 3, 4]), index.match([1, 2, 9]), index.match([9, 2]), index.match([])]).toEqual([3, 2, 0, 0]);
  });

  it('forgets what was not used for longest, the end of a prompt before its beginning', () => {
    const index = createPrefixIndex(4);
    index.insert([1, 2]);
    index.insert([11, 12]);
    index.insert([1]);
    index.insert([21]);
    expect([index.match([1, 2]), index.match([11, 12]), index.match([21])]).toEqual([1, 2, 1]);
    index.insert([31]);
    expect([index.match([1]), index.match([11, 12])]).toEqual([1, 1]);
  });
});
