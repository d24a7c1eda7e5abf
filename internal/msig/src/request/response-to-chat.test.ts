import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@openeaap/kernel';
import { parseRequest } from './parse-request.ts';
import { toChatOfResponse } from './response-to-chat.ts';

const messagesOf = (input: readonly JsonObject[]): unknown => toChatOfResponse(parseRequest('responses', JSON.stringify({ input }))).body['messages'];
const call = (id: string): JsonObject => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' });
const called = (id: string): JsonObject => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });

describe('the items of a response', () => {
  it('that are calls join the message before them, or make one', () => {
    const thought = { type: 'reasoning', id: 'rs', summary: [] };
    const output = { type: 'function_call_output', call_id: 'a', output: '1' };
    expect(messagesOf([{ role: 'user', content: 'x' }, call('a'), thought, call('b'), output, call('c'), { role: 'assistant', content: 'ok' }, call('d'), call('e')])).toEqual([
      { role: 'user', content: 'x' },
      { role: 'assistant', content: null, tool_calls: [called('a'), called('b')] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
      { role: 'assistant', content: null, tool_calls: [called('c')] },
      { role: 'assistant', content: 'ok', tool_calls: [called('d'), called('e')] },
    ]);
  });

  it('cost each the same, however many there are', () => {
    const timeOf = (items: readonly JsonObject[]): number => {
      const request = parseRequest('responses', JSON.stringify({ input: items }));
      return Math.min(...Array.from({ length: 5 }, () => {
        const startedMs = performance.now();
        toChatOfResponse(request);
        return performance.now() - startedMs;
      }));
    };
    const messages = (n: number): readonly JsonObject[] => Array.from({ length: n }, () => ({ role: 'user', content: 'x' }));
    const calls = (n: number): readonly JsonObject[] => Array.from({ length: n }, (_, at) => call(String(at)));
    // Ten times as many cost a hundred times as much where each copies those before it.
    for (const many of [messages, calls]) expect(timeOf(many(10_000)) / timeOf(many(1_000))).toBeLessThan(35);
  });
});
