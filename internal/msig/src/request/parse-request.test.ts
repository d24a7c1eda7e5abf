import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { parseRequest } from './parse-request.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];
const parse = (fields: object) => parseRequest('chat', JSON.stringify({ messages: MESSAGES, ...fields }));

function failureOf(text: string): PlatformError {
  try {
    parseRequest('chat', text);
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
