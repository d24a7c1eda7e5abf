import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { RequestKind } from '../request/model-request.ts';
import { promptFactsOf } from './prompt-facts.ts';
import { aRequest } from './testing/a-fleet.ts';

const tokens = (kind: RequestKind, body: JsonObject) => {
  const { promptTokens, longestTokens } = promptFactsOf(aRequest({ kind, body }));
  return [promptTokens, longestTokens];
};

describe('the length of a prompt', () => {
  it.each<readonly [string, RequestKind, JsonObject, number, number]>([
    ['chat: all that is said and called', 'chat', { messages: [{ role: 'user', content: 'x'.repeat(40) }, { role: 'assistant', content: null, tool_calls: [{ function: { name: 'look', arguments: 'x'.repeat(36) } }] }] }, 20, 20],
    ['chat: an image weighs nothing, for its bytes say nothing', 'chat', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x'.repeat(4_000) } }, { type: 'text', text: 'x'.repeat(8) }] }] }, 2, 2],
    ['completions: a text', 'completions', { prompt: 'x'.repeat(40) }, 10, 10],
    ['completions: numbers of tokens', 'completions', { prompt: [1, 2, 3] }, 3, 3],
    ['completions: several of those', 'completions', { prompt: [[1, 2, 3], [4]] }, 4, 4],
    ['embeddings: each by itself', 'embeddings', { input: ['x'.repeat(40), 'x'.repeat(20)] }, 15, 10],
    ['embeddings: numbers of tokens', 'embeddings', { input: [[1, 2, 3], [4]] }, 4, 3],
    ['rerank: each beside the query', 'rerank', { query: 'x'.repeat(20), documents: ['x'.repeat(20), { text: 'x'.repeat(60) }] }, 30, 20],
    ['responses: instructions and items', 'responses', { instructions: 'x'.repeat(8), input: [{ role: 'user', content: 'x'.repeat(8) }, { type: 'function_call', name: 'f', arguments: 'x'.repeat(8) }] }, 6, 6],
  ])('of %s', (_what, kind, body, all, longest) => {
    expect(tokens(kind, body)).toEqual([all, longest]);
  });

  it.each<readonly [string, RequestKind, JsonObject]>([
    ['messages that are no list', 'chat', { messages: 'x' }],
    ['messages that are no objects', 'chat', { messages: [1, null, 'x', []] }],
    ['content that is nothing', 'chat', { messages: [{ role: 'user', content: 7 }, { role: 'user', content: [null, 1, {}] }, { tool_calls: [null, { function: 1 }] }] }],
    ['no input', 'embeddings', {}],
    ['documents that are none', 'rerank', { documents: [null, 1] }],
    ['no prompt', 'completions', {}],
    ['items that are none', 'responses', { input: [null, 1] }],
  ])('of %s is nothing, and no error', (_what, kind, body) => {
    expect(tokens(kind, body)).toEqual([0, 0]);
  });
});
