import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { RequestKind } from './model-request.ts';
import { parseRequest } from './parse-request.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];
const parse = (fields: object) => parseRequest('chat', JSON.stringify({ messages: MESSAGES, ...fields }));

function failureOf(text: string, kind: RequestKind = 'chat'): PlatformError {
  try {
    parseRequest(kind, text);
  } catch (thrown) {
    if (thrown instanceof PlatformError) return thrown;
  }
  throw new Error('expected a PlatformError');
}

describe('a request for a completion', () => {
  it('is read only as far as the gateway acts on it', () => {
    expect(parse({ model: 'm', anything: { else: true } })).toMatchObject({ model: 'm', isStream: false, wantsUsage: false, choices: 1, maxTokens: null });
    expect(parse({ stream: true, stream_options: { include_usage: true }, n: 3, max_tokens: 9, max_completion_tokens: 7 })).toMatchObject({
      model: '', isStream: true, wantsUsage: true, wantsUsageOnEveryChunk: false, choices: 3, maxTokens: 7,
    });
    expect(parse({ model: null, stream: null, stream_options: null, n: null, max_tokens: null })).toMatchObject({ model: '', isStream: false, choices: 1, maxTokens: null });
  });

  it.each([
    ['messages', { messages: undefined }],
    ['messages', { messages: [] }],
    ['messages', { messages: 'hi' }],
    ['messages', { messages: Array.from({ length: 10_001 }, () => MESSAGES[0]) }],
    ['messages[1]', { messages: [...MESSAGES, 'hi'] }],
    ['messages[0].role', { messages: [{ content: 'hi' }] }],
    ['model', { model: 7 }],
    ['model', { model: 'x'.repeat(513) }],
    ['stream', { stream: 'true' }],
    ['stream_options', { stream_options: { include_usage: true } }],
    ['stream_options', { stream: true, stream_options: [] }],
    ['stream_options.include_usage', { stream: true, stream_options: { include_usage: 1 } }],
    ['n', { n: 0 }],
    ['n', { n: 129 }],
    ['max_tokens', { max_tokens: 0 }],
    ['max_tokens', { max_tokens: '5' }],
    ['max_completion_tokens', { max_completion_tokens: 1.5 }],
  ])('with a wrong %s is refused by that name', (field, fields) => {
    const error = failureOf(JSON.stringify({ messages: MESSAGES, ...fields }));
    expect(error).toMatchObject({ code: 'invalid_input', details: { field } });
    expect(error.message).toContain(field);
  });

  it.each(['', 'hi', '[]', 'null', '{"messages": [', '"text"'])('that is not a JSON object is refused: %s', (text) => {
    expect(failureOf(text)).toMatchObject({ code: 'invalid_input', message: expect.stringMatching(/JSON/) });
  });

  it('that is not JSON is not repeated in the error', () => {
    expect(failureOf('{"messages": "my secret').message).not.toContain('secret');
  });

  it('nested beyond reason is refused before anybody falls over it', () => {
    expect(failureOf(`{"messages":[{"role":"user","content":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`).message).toContain('nested deeper than 200 levels');
  });
});

describe('a request of another kind', () => {
  it.each<[RequestKind, object, object]>([
    ['completions', { prompt: 'x' }, { isStream: false, choices: 1, maxTokens: null }],
    ['completions', { prompt: ['a', 'b'], n: 2, best_of: 3, stream: true, stream_options: { include_usage: true }, max_tokens: 0 }, { isStream: true, wantsUsage: true, choices: 6, maxTokens: 0 }],
    ['completions', { prompt: [1, 2, 3] }, { choices: 1 }],
    ['completions', { prompt: [[1], [2, 3]] }, { choices: 2 }],
    ['completions', { prompt_embeds: 'AAAA' }, { choices: 1 }],
    ['embeddings', { input: ['a', 'b'], encoding_format: 'base64', dimensions: 3 }, { isStream: false, choices: 1, maxTokens: 0 }],
    ['embeddings', { input: [[1, 2], [3]] }, { maxTokens: 0 }],
    ['embeddings', { messages: MESSAGES }, { maxTokens: 0 }],
    ['rerank', { query: 'q', documents: ['a', { text: 'b' }], top_n: 1 }, { isStream: false, maxTokens: 0 }],
    ['rerank', { query: { content: [] }, documents: { content: [] } }, { maxTokens: 0 }],
    ['responses', { input: 'x', stream: true, stream_options: { include_obfuscation: false }, max_output_tokens: 9 }, { isStream: true, wantsUsage: false, choices: 1, maxTokens: 9 }],
    ['responses', { input: [{ role: 'user', content: 'x' }], n: 'not read', background: false }, { choices: 1, maxTokens: null }],
    ['responses', { previous_response_id: 'resp_1' }, { isStream: false }],
  ])('of %s is read as far as the gateway acts on it: %j', (kind, fields, read) => {
    const text = JSON.stringify({ model: 'm', ...fields });
    expect(parseRequest(kind, text)).toMatchObject({ kind, text, model: 'm', body: { ...fields }, ...read });
  });

  it.each<[RequestKind, string, object]>([
    ['completions', 'prompt', {}],
    ['completions', 'prompt', { prompt: [] }],
    ['completions', 'prompt', { prompt: { text: 'x' } }],
    ['completions', 'prompt', { prompt: Array.from({ length: 2_049 }, () => 'x') }],
    ['completions', 'prompt[1]', { prompt: ['a', 1] }],
    ['completions', 'prompt[0]', { prompt: [[]] }],
    ['completions', 'best_of', { prompt: 'x', best_of: 129 }],
    ['completions', 'max_tokens', { prompt: 'x', max_tokens: -1 }],
    ['embeddings', 'input', { input: null }],
    ['embeddings', 'input[2]', { input: ['a', 'b', null] }],
    ['embeddings', 'encoding_format', { input: 'x', encoding_format: 'bytes' }],
    ['embeddings', 'stream', { input: 'x', stream: true }],
    ['rerank', 'query', { documents: ['a'] }],
    ['rerank', 'query', { query: '', documents: ['a'] }],
    ['rerank', 'documents', { query: 'q', documents: [] }],
    ['rerank', 'documents[0]', { query: 'q', documents: [7] }],
    ['rerank', 'top_n', { query: 'q', documents: ['a'], top_n: 1.5 }],
    ['responses', 'input', {}],
    ['responses', 'input', { input: 7 }],
    ['responses', 'input', { input: null, previous_response_id: null }],
    ['responses', 'background', { input: 'x', background: true }],
    ['responses', 'max_output_tokens', { input: 'x', max_output_tokens: 0 }],
  ])('of %s with a wrong %s is refused by that name: %j', (kind, field, fields) => {
    const error = failureOf(JSON.stringify(fields), kind);
    expect(error).toMatchObject({ code: 'invalid_input', details: { field } });
    expect(error.message).toContain(field);
  });
});
