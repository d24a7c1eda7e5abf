import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf, chatBody, counting, makeCache } from '../testing/cache-calls.ts';
import type { CallChanges } from '../testing/cache-calls.ts';

const HELLO = chatBody('hello there');

describe('what one answer may serve', () => {
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
});
