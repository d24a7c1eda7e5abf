import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { CONFIG_DEFAULTS } from '../config/config.ts';
import { isSimple } from './is-simple.ts';
import { aRequest } from './testing/a-fleet.ts';

const LIMITS = { ...CONFIG_DEFAULTS.routing.simple, maxPromptTokens: 100, maxTurns: 2, maxAnswerTokens: 200 };
const user = { role: 'user', content: 'hi' };
const assistant = { role: 'assistant', content: 'hello' };
const tool = { type: 'function', function: { name: 'look' } };
const ask = (body: JsonObject, maxTokens: number | null = null) => isSimple(aRequest({ body, maxTokens }), LIMITS);

describe('a request is simple', () => {
  it.each([
    ['a question', { messages: [user] }, null],
    ['a question with a system prompt, which is no turn', { messages: [{ role: 'system', content: 'be brief' }, { role: 'developer', content: 'x' }, user] }, null],
    ['as many turns as allowed', { messages: [user, assistant] }, null],
    ['as long as allowed', { messages: [{ role: 'user', content: 'x'.repeat(400) }] }, null],
    ['a short answer is asked for', { messages: [user] }, 200],
    ['text in parts', { messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }] }, null],
    ['no tools in the list', { messages: [user], tools: [] }, null],
    ['any JSON will do', { messages: [user], response_format: { type: 'json_object' } }, null],
  ] as const)('with %s', (_what, body, maxTokens) => {
    expect(ask(body, maxTokens)).toBe(true);
  });

  it.each([
    ['more turns', { messages: [user, assistant, user] }, null],
    ['a longer prompt', { messages: [{ role: 'user', content: 'x'.repeat(401) }] }, null],
    ['a longer prompt in the system message', { messages: [{ role: 'system', content: 'x'.repeat(401) }, user] }, null],
    ['a longer answer', { messages: [user] }, 201],
    ['tools', { messages: [user], tools: [tool] }, null],
    ['functions, as they were called once', { messages: [user], functions: [{ name: 'look' }] }, null],
    ['the result of a tool', { messages: [user, { role: 'tool', tool_call_id: 'c', content: '1' }] }, null],
    ['a call', { messages: [{ role: 'assistant', content: null, tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{}' } }] }] }, null],
    ['a schema for the answer', { messages: [user], response_format: { type: 'json_schema', json_schema: {} } }, null],
    ['an image', { messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }, { type: 'image_url', image_url: { url: 'data:' } }] }] }, null],
  ] as const)('not with %s', (_what, body, maxTokens) => {
    expect(ask(body, maxTokens)).toBe(false);
  });

  it('also in the words of the other endpoints', () => {
    const simple = (kind: 'completions' | 'responses', body: JsonObject) => isSimple(aRequest({ kind, body }), LIMITS);
    expect(simple('completions', { prompt: 'hi' })).toBe(true);
    expect(simple('completions', { prompt: ['x'.repeat(300), 'x'.repeat(300)] })).toBe(false);
    expect(simple('responses', { input: 'hi', instructions: 'be brief' })).toBe(true);
    expect(simple('responses', { input: 'hi', instructions: 'x'.repeat(401) })).toBe(false);
    expect(simple('responses', { input: [user, { type: 'function_call_output', call_id: 'c', output: '1' }] })).toBe(false);
    expect(simple('responses', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:' }] }] })).toBe(false);
    expect(simple('responses', { input: 'hi', text: { format: { type: 'json_schema' } } })).toBe(false);
  });
});
