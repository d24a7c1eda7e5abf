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

  it.each<[string, JsonObject]>([
    ['a temperature without a seed', { temperature: 0.7 }],
    ['several choices', { n: 2 }],
    ['store', { store: true }],
    ['previous_response_id', { previous_response_id: 'r' }],
    ['a tool of the server', { tools: [{ type: 'web_search' }] }],
    ['remote media', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { detail: 'low', url: 'https://a.test/x.png' } }] }] }],
  ])('lets %s pass by', async (_name, member) => {
    const cache = makeCache();
    const produce = counting();
    for (let at = 0; at < 2; at += 1) expect((await cache.through(callOf({ ...HELLO, ...member }), produce)).cache.state).toBe('bypass');
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

  it.each<[string, CallChanges['kind'], JsonObject]>([
    ['a file of a chat', 'chat', { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'f1' } }] }] }],
    ['what was spoken before', 'chat', { messages: [{ role: 'assistant', audio: { id: 'a1' } }] }],
    ['a video', 'chat', { messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'https://a.test/x.mp4' } }] }] }],
    ['media by its uuid', 'chat', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: null, uuid: 'u1' }] }] }],
    ['an image of a response by its id', 'responses', { store: false, input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'f1' }] }] }],
    ['an image that a function gave', 'responses', { store: false, input: [{ type: 'function_call_output', call_id: 'c', output: [{ type: 'input_image', image_url: 'https://a.test/x.png' }] }] }],
    ['an earlier item', 'responses', { store: false, input: [{ type: 'item_reference', id: 'i1' }] }],
    ['a document of a rerank', 'rerank', { query: 'q', documents: [{ content: { type: 'image_url', image_url: { url: 'https://a.test/x.png' } } }] }],
    ['a question of a rerank', 'rerank', { query: { content: [{ type: 'image_url', image_url: { url: 'https://a.test/x.png' } }] }, documents: ['d'] }],
    ['an image to embed', 'embeddings', { input: [{ image: 'https://a.test/x.png' }] }],
  ])('lets %s pass by, for it lies elsewhere', async (_name, kind, body) => {
    const cache = makeCache();
    const call = () => callOf(body, kind === undefined ? {} : { kind });
    for (let at = 0; at < 2; at += 1) expect((await cache.through(call(), counting())).cache.state).toBe('bypass');
  });

  it.each<[string, CallChanges['kind'], JsonObject]>([
    ['an image in the body', 'embeddings', { input: [{ image: 'data:image/png;base64,AA==' }, { image: 'iVBORw0KGgo=' }] }],
    ['a URL in a text', 'chat', { messages: [{ role: 'user', content: 'Is https://a.test/x safe?' }] }],
    ['a tool that takes a URL', 'chat', { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { url: { type: 'string' }, file_id: { type: 'string' } } } } }] }],
  ])('keeps %s', async (_name, kind, body) => {
    const cache = makeCache();
    for (const state of ['miss', 'hit']) expect((await cache.through(callOf(body, kind === undefined ? {} : { kind }), counting())).cache.state).toBe(state);
  });

  it.each<[string, JsonObject, CallChanges]>([
    ['a temperature of 0', { temperature: 0 }, {}],
    ['a temperature with a seed', { temperature: 0.7, seed: 1 }, {}],
    ['a temperature where the client speaks of ages', { temperature: 0.7 }, { control: { maxAgeMs: 60_000 } }],
    ['an image that is in the body', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] }] }, {}],
  ])('keeps %s', async (_name, member, changes) => {
    const cache = makeCache();
    const produce = counting();
    for (const state of ['miss', 'hit']) expect((await cache.through(callOf({ ...HELLO, ...member }, changes), produce)).cache.state).toBe(state);
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

describe('equal requests at once', () => {
  it('are one: a hundred ask, one is made', async () => {
    const cache = makeCache();
    const ready = gate();
    let made = 0;
    const produce: Produce = async () => {
      made += 1;
      await ready.opened;
      return replyWith('once');
    };
    const all = Array.from({ length: 100 }, () => cache.through(callOf(HELLO), produce));
    ready.open();
    const states = (await Promise.all(all)).map(({ reply, cache: outcome }) => `${outcome.state} ${String(reply.document?.includes('once'))}`);
    expect(made).toBe(1);
    expect(states.filter((state) => state === 'shared true')).toHaveLength(99);
    expect(cache.sizes().flights).toBe(0);
  });

  it('are not shared by other tenants, labels, or by who wants no cache', async () => {
    const cache = makeCache();
    const ready = gate();
    let made = 0;
    const produce: Produce = async () => {
      made += 1;
      await ready.opened;
      return replyWith('x');
    };
    const all = [{}, { access: { tenantId: 't2' } }, { access: { labels: ['x'] } }, { control: { read: false } }, { control: { semantic: false } }].map((changes) => cache.through(callOf(HELLO, changes), produce));
    ready.open();
    await Promise.all(all);
    // The last one follows the first: without the semantic level there is nothing to refuse.
    expect(made).toBe(4);
  });

  it('are not shared by who keeps the answer for another time', async () => {
    const cache = makeCache();
    const produce = counting();
    await Promise.all([{}, { control: { ttlMs: 1_000 } }].map((changes) => cache.through(callOf(HELLO, changes), produce)));
    expect(produce.count()).toBe(2);
  });

  it('are not led by one whose answer may not be kept', async () => {
    const cache = makeCache();
    const produce = counting();
    const both = [{ control: { write: false } }, {}].map((changes) => cache.through(callOf(HELLO, changes), produce));
    expect((await Promise.all(both)).map(({ cache: outcome }) => outcome.state)).toEqual(['miss', 'miss']);
    expect((await cache.through(callOf(HELLO), produce)).cache.level).toBe('l1');
  });

  it('give everybody a fault of the request, and let others try where the fault was the leader\'s', async () => {
    const cache = makeCache();
    let made = 0;
    const failing = (code: 'model_rejected' | 'quota_exceeded'): Produce => async () => {
      made += 1;
      await Promise.resolve();
      if (code === 'model_rejected' || made === 1) throw new PlatformError(code, 'No.');
      return replyWith('yes');
    };
    const three = async (code: 'model_rejected' | 'quota_exceeded') => Promise.allSettled([1, 2, 3].map(() => cache.through(callOf(chatBody(code)), failing(code))));
    expect((await three('model_rejected')).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(made).toBe(1);
    made = 0;
    expect((await three('quota_exceeded')).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(made).toBe(2);
  });

  it('are tried by each alone after two failures of others', async () => {
    const cache = makeCache();
    let made = 0;
    let atOnce = 0;
    let mostAtOnce = 0;
    const produce: Produce = async () => {
      made += 1;
      mostAtOnce = Math.max(mostAtOnce, (atOnce += 1));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      throw new PlatformError('model_unavailable', 'Down.');
    };
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => cache.through(callOf(HELLO), produce)));
    expect(all.every(({ status }) => status === 'rejected')).toBe(true);
    expect(made).toBe(10);
    expect(mostAtOnce).toBe(8);
    expect(cache.sizes().flights).toBe(0);
  });
});
