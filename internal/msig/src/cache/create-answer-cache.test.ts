import { PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf, chatBody, chunk, counting, gate, makeCache, replyWith, STREAMED, streaming } from '../testing/cache-calls.ts';
import type { CallChanges } from '../testing/cache-calls.ts';
import type { Produce } from './answer-cache.ts';

const HELLO = chatBody('hello there');

describe('the exact levels', () => {
  it('answers an equal request from memory, with the usage of the original', async () => {
    const cache = makeCache();
    const produce = counting();
    const first = await cache.through(callOf(HELLO), produce);
    cache.pass(1_500);
    const call = callOf(HELLO);
    const second = await cache.through(call, produce);
    expect(produce.count()).toBe(1);
    expect(first.cache).toEqual({ state: 'miss', level: null, ageMs: null, similarity: null });
    expect(second).toEqual({ reply: first.reply, cache: { state: 'hit', level: 'l1', ageMs: 1_500, similarity: null } });
    expect(call.outcomes).toEqual([second.cache]);
  });

  it('knows equal JSON in another order, with other space and other escapes', async () => {
    const cache = makeCache();
    const produce = counting();
    await cache.through(callOf(HELLO), produce);
    const text = '{ "messages": [ {"content":"be\\u0020brief","role":"system"}, {"role":"user", "content": "hello there"} ],\n"model":"m" }';
    expect((await cache.through(callOf({}, { text }), produce)).cache.state).toBe('hit');
  });

  it.each<[string, JsonObject]>([
    ['user', { user: 'somebody' }],
    ['metadata', { metadata: { a: '1' } }],
    ['service_tier', { service_tier: 'flex' }],
    ['prompt_cache_key', { prompt_cache_key: 'k' }],
    ['store: false', { store: false }],
  ])('does not mind %s', async (_name, member) => {
    const cache = makeCache();
    const produce = counting();
    await cache.through(callOf(HELLO), produce);
    expect((await cache.through(callOf({ ...HELLO, ...member }), produce)).cache.state).toBe('hit');
  });

  it.each<[string, JsonObject, CallChanges]>([
    ['tenant', HELLO, { access: { tenantId: 't2' } }],
    ['labels', HELLO, { access: { labels: ['soc', 'hr'] } }],
    ['no labels', HELLO, { access: { labels: [] } }],
    ['a label that looks like two', HELLO, { access: { labels: ['soc","hr'] } }],
    ['sensitivity', HELLO, { access: { sensitivity: 3 } }],
    ['who would answer', HELLO, { identity: 'b2/m1' }],
    ['system prompt', { ...HELLO, messages: [{ role: 'system', content: 'be long' }, { role: 'user', content: 'hello there' }] }, {}],
    ['tools', { ...HELLO, tools: [{ type: 'function', function: { name: 'f' } }] }, {}],
    ['a parameter', { ...HELLO, top_p: 0.5 }, {}],
    ['an unknown member', { ...HELLO, brand_new: true }, {}],
    ['stream', { ...HELLO, stream: true }, {}],
    ['usage flags', HELLO, { request: { wantsUsage: true } }],
    ['model', { ...HELLO, model: 'adapter' }, {}],
    ['kind', HELLO, { kind: 'completions' }],
  ])('keeps apart by %s', async (_name, body, changes) => {
    const cache = makeCache();
    const produce = counting();
    await cache.through(callOf(HELLO), produce);
    expect((await cache.through(callOf(body, changes), produce)).cache.state).toBe('miss');
    expect(produce.count()).toBe(2);
  });

  it('gives a response to nobody else who asks with other words about himself, and none that its server keeps', async () => {
    const cache = makeCache();
    const echoing = (body: JsonObject): Produce => async () => replyWith('', { document: JSON.stringify({ object: 'response', status: 'completed', metadata: body['metadata'] }) });
    const askAs = async (name: string, store: JsonObject) => {
      const body = { input: 'hello', metadata: { name }, ...store };
      return cache.through(callOf(body, { kind: 'responses' }), echoing(body));
    };
    await askAs('alice', { store: false });
    const { reply, cache: outcome } = await askAs('bob', { store: false });
    expect([outcome.state, reply.document]).toEqual(['miss', expect.stringContaining('bob')]);
    expect((await askAs('bob', { store: false })).cache.state).toBe('hit');
    for (const store of [{}, { store: null }, { store: true }]) expect((await askAs('bob', store)).cache.state).toBe('bypass');
  });

  it.each([
    ['cut', replyWith('x', { finishReason: 'length' })],
    ['filtered', replyWith('x', { finishReason: 'content_filter' })],
    ['of a fallback', replyWith('x', { keep: false })],
    ['of an unknown end', replyWith('x', { finishReason: 'error' })],
    ['empty', replyWith('', { usage: { promptTokens: 1, completionTokens: 0 } })],
    ['without a document or a chunk', replyWith('', { document: null })],
  ])('keeps nothing that is %s', async (_name, reply) => {
    const cache = makeCache();
    await cache.through(callOf(HELLO), async () => reply);
    expect((await cache.through(callOf(HELLO), async () => reply)).cache.state).toBe('miss');
    expect(cache.sizes()).toEqual({ l1Bytes: 0, l1Entries: 0, flights: 0 });
  });

  it('keeps only responses that say that they are complete', async () => {
    const cache = makeCache();
    const response = (status: string): Produce => async () => replyWith('', { document: JSON.stringify({ object: 'response', status }) });
    const call = (input: string) => callOf({ input, store: false }, { kind: 'responses' });
    for (const [status, state] of [['incomplete', 'miss'], ['completed', 'hit']] as const) {
      await cache.through(call(status), response(status));
      expect((await cache.through(call(status), response(status))).cache.state).toBe(state);
    }
  });

  it('forgets in time, as the level has it and as the client has it', async () => {
    const cache = makeCache();
    const produce = counting();
    await cache.through(callOf(HELLO, { control: { ttlMs: 1_000 } }), produce);
    cache.pass(999);
    expect((await cache.through(callOf(HELLO), produce)).cache.state).toBe('hit');
    cache.pass(1);
    expect((await cache.through(callOf(HELLO), produce)).cache.state).toBe('miss');
    cache.pass(30_000);
    expect((await cache.through(callOf(HELLO, { control: { maxAgeMs: 29_999 } }), produce)).cache.state).toBe('miss');
    cache.pass(60_000);
    expect((await cache.through(callOf(HELLO), produce)).cache.state).toBe('miss');
  });

  it('obeys no-cache and no-store', async () => {
    const cache = makeCache();
    const produce = counting();
    expect((await cache.through(callOf(HELLO, { control: { write: false } }), produce)).cache.state).toBe('miss');
    expect((await cache.through(callOf(HELLO), produce)).cache.state).toBe('miss');
    expect((await cache.through(callOf(HELLO, { control: { read: false } }), produce)).cache.state).toBe('bypass');
    const { reply, cache: outcome } = await cache.through(callOf(HELLO, { control: { write: false } }), produce);
    expect([outcome.state, reply.document]).toEqual(['hit', replyWith('answer 3').document]);
    expect((await cache.through(callOf(HELLO, { control: { read: false, write: false } }), produce)).cache.state).toBe('bypass');
  });

  it('stays within its bytes, and what was not used for the longest goes first', async () => {
    const cache = makeCache({ cache: { l1: { enabled: true, maxBytes: 20_000, ttlMs: 60_000 } } });
    const produce = counting();
    for (let at = 0; at < 100; at += 1) {
      await cache.through(callOf(chatBody(`question ${at}`)), produce);
      await cache.through(callOf(chatBody('question 0')), produce);
      expect(cache.sizes().l1Bytes).toBeLessThanOrEqual(20_000);
    }
    expect(produce.count()).toBe(100);
    expect(cache.sizes().l1Entries).toBeGreaterThan(10);
    await cache.through(callOf(chatBody('question 50')), produce);
    expect(produce.count()).toBe(101);
  });

  it('does not keep an answer above the limit, and passes it on', async () => {
    const cache = makeCache({ cache: { maxEntryBytes: 1_000 } });
    const { reply } = await cache.through(callOf(HELLO), async () => replyWith('x'.repeat(2_000)));
    expect(reply.document).toContain('xxx');
    const call = callOf({ ...HELLO, stream: true });
    const chunks = Array.from({ length: 50 }, (_, at) => chunk(`piece ${at}`));
    await cache.through(call, streaming(chunks));
    expect(call.got).toEqual(chunks);
    expect(cache.sizes().l1Entries).toBe(0);
  });

  it('counts the bytes of a stream, and not its characters', async () => {
    const cache = makeCache({ cache: { maxEntryBytes: 1_000 } });
    const stream = async (text: string): Promise<void> => {
      await cache.through(callOf({ ...HELLO, stream: true, text }), streaming([chunk(text), chunk('', 'stop')]));
    };
    await stream('x'.repeat(600));
    expect(cache.sizes().l1Entries).toBe(1);
    await stream('中'.repeat(300));
    expect(cache.sizes().l1Entries).toBe(1);
    expect(cache.events).toContainEqual({ kind: 'not_kept', level: 'l1', reason: 'too_large' });
  });

  it('says that it kept only what it did', async () => {
    const cache = makeCache({ cache: { l1: { enabled: true, maxBytes: 700, ttlMs: 60_000 } } });
    await cache.through(callOf(HELLO), counting(replyWith('x'.repeat(1_000))));
    expect(cache.events.filter(({ kind }) => kind !== 'look')).toEqual([{ kind: 'not_kept', level: 'l1', reason: 'failed' }]);
  });

  it('is off where no level is on', async () => {
    const cache = makeCache({ cache: { l1: { enabled: false, maxBytes: 0, ttlMs: 0 } } });
    expect((await cache.through(callOf(HELLO), counting())).cache.state).toBe('off');
  });
});

describe('streams', () => {
  it('are replayed chunk by chunk, byte for byte, and apart from whole answers', async () => {
    const cache = makeCache();
    const chunks = [chunk('你好 '), chunk('wor\\nld "x"'), chunk('', 'stop')];
    const live = callOf({ ...HELLO, stream: true });
    await cache.through(live, streaming(chunks));
    const again = callOf({ ...HELLO, stream: true });
    const { reply, cache: outcome } = await cache.through(again, streaming([]));
    expect(outcome).toMatchObject({ state: 'hit', level: 'l1' });
    expect(again.got).toEqual(live.got);
    expect(again.got).toEqual(chunks);
    expect(reply).toEqual(STREAMED);
  });

  it('are not kept when they break', async () => {
    const cache = makeCache();
    const broken: Produce = async ({ onChunk }) => {
      await onChunk(chunk('half'));
      throw new PlatformError('model_unavailable', 'It broke.');
    };
    await expect(cache.through(callOf({ ...HELLO, stream: true }), broken)).rejects.toThrow('It broke.');
    const again = callOf({ ...HELLO, stream: true });
    await cache.through(again, streaming([chunk('whole', 'stop')]));
    expect(again.got).toEqual([chunk('whole', 'stop')]);
  });

  it('are not kept when their reader leaves, though the source ends as if all were well', async () => {
    const cache = makeCache();
    const call = callOf({ ...HELLO, stream: true });
    const heedless: Produce = async ({ onChunk }) => {
      await onChunk(chunk('half'));
      call.leave();
      await onChunk(chunk(' and half', 'stop'));
      return STREAMED;
    };
    await expect(cache.through(call, heedless)).rejects.toMatchObject({ code: 'cancelled' });
    await cache.settled();
    expect(cache.sizes()).toEqual({ l1Bytes: 0, l1Entries: 0, flights: 0 });
  });

  it('are replayed no faster than they are read, and end when the reader leaves', async () => {
    const cache = makeCache();
    await cache.through(callOf({ ...HELLO, stream: true }), streaming([chunk('a'), chunk('b'), chunk('c', 'stop')]));
    const full = gate();
    const slow = callOf({ ...HELLO, stream: true }, { onChunk: () => full.opened });
    const replayed = cache.through(slow, streaming([]));
    await Promise.resolve();
    expect(slow.got).toHaveLength(1);
    full.open();
    await replayed;
    expect(slow.got).toHaveLength(3);
    const gone = callOf({ ...HELLO, stream: true }, { onChunk: () => new Promise(() => undefined) });
    const failing = cache.through(gone, streaming([]));
    gone.leave();
    await expect(failing).rejects.toMatchObject({ code: 'cancelled' });
  });
});
