import { describe, expect, test } from 'vitest';
import { LOOK_UP, aReply, aRequest, aThink, anAct } from '../testing/fixtures.ts';
import { reactNative } from './react-native.ts';

const call = { id: 'c1', tool: 'look_up', args: { q: 'x' } };
const said = (id: string, argumentsText: string, name = 'look_up') => ({ id, name, argumentsText });

describe('ReAct by tool calls: what the model is asked', () => {
  test('the first think has the prompt, the task and the tools with their schemas', () => {
    const request = reactNative.ask(aRequest());
    expect(request.messages).toMatchObject([{ role: 'system', content: expect.stringMatching(/^You are a test\.\n\n/) }, { role: 'user', content: 'the task' }]);
    expect(request.tools).toEqual([{ name: 'look_up', description: LOOK_UP.description, parameters: LOOK_UP.inputSchema }]);
    expect(request).toMatchObject({ temperature: 0, maxTokens: 2_048 });
  });

  test('a task that is not text is shown as JSON; without tools none are offered; the policy caps the tokens', () => {
    const request = reactNative.ask(aRequest([], {}, { input: { alert: 7 }, tools: [], constraints: { blockedTools: [], dryRun: false, maxTokens: 50 } }));
    expect(request.messages[1]).toEqual({ role: 'user', content: '{\n  "alert": 7\n}' });
    expect(request).not.toHaveProperty('tools');
    expect(request.maxTokens).toBe(50);
  });

  test('each earlier think comes back with its calls and what came of each, as JSON', () => {
    const journal = [
      aThink(1, { thought: 'let me see', calls: [call, { ...call, id: 'c2' }] }),
      anAct(2, 1),
      anAct(3, 1, { callId: 'c2', status: 'rejected', result: null, error: { code: 'approval_rejected', message: 'Rejected by bob: no' } }),
    ];
    expect(reactNative.ask(aRequest(journal)).messages.slice(2)).toEqual([
      { role: 'assistant', content: 'let me see', toolCalls: [said('c1', '{"q":"x"}'), said('c2', '{"q":"x"}')] },
      { role: 'tool', toolCallId: 'c1', content: '{"output":{"found":7}}' },
      { role: 'tool', toolCallId: 'c2', content: '{"error":{"code":"approval_rejected","message":"Rejected by bob: no"}}' },
    ]);
  });

  test('a reply that could not be used is corrected; malformed arguments go back as valid JSON with the error beside them', () => {
    const bad = anAct(3, 2, { status: 'invalid', result: null, error: { code: 'invalid_input', message: 'The arguments of "look_up" are not JSON: {"q": ' } });
    const journal = [aThink(1, null), aThink(2, { calls: [{ id: 'c1', tool: 'look_up', args: null, malformed: '{"q": ' }] }), bad];
    expect(reactNative.ask(aRequest(journal)).messages.slice(2)).toEqual([
      { role: 'user', content: 'Your last reply could not be used: It was nonsense. Reply again.' },
      { role: 'assistant', content: '', toolCalls: [said('c1', '{}')] },
      { role: 'tool', toolCallId: 'c1', content: expect.stringContaining('are not JSON') },
    ]);
  });
});

describe('ReAct by tool calls: what the answer means', () => {
  const read = (...args: Parameters<typeof aReply>) => reactNative.read(aRequest(), aReply(...args)).proposal;

  test('text without a call is the answer', () => {
    expect(read('It was blocked.')).toEqual({ thought: '', calls: [], output: 'It was blocked.' });
  });

  test('calls are proposed with the text as the thought; no arguments are an empty object', () => {
    expect(read('look', { toolCalls: [said('c1', '{"q":"x"}'), said('c2', ' ')] })).toEqual({
      thought: 'look', output: null, calls: [{ id: 'c1', tool: 'look_up', args: { q: 'x' } }, { id: 'c2', tool: 'look_up', args: {} }],
    });
  });

  test('arguments that are not JSON are kept to be shown, and not for ever', () => {
    const [proposed] = read('', { toolCalls: [said('c1', `{"q": "${'x'.repeat(1_000)}`)] }).calls;
    expect(proposed).toMatchObject({ args: null });
    expect(proposed?.malformed).toHaveLength(300);
  });

  test('ids are made unique, whatever the server sends', () => {
    const ids = (...given: string[]): string[] => read('', { toolCalls: given.map((id) => said(id, '{}')) }).calls.map(({ id }) => id);
    expect(ids('', '', '')).toEqual(['call_0', 'call_1', 'call_2']);
    for (const given of [['a', 'a', 'a'], ['a_2', 'a', 'a'], ['call_1', '', 'call_1'], ['', 'call_0', '']]) expect(new Set(ids(...given)).size).toBe(3);
  });

  test('nothing, and a reply that was cut, are errors that the model is told', () => {
    for (const reply of [aReply(' \n'), aReply('half an ans', { finishReason: 'length' })]) {
      expect(() => reactNative.read(aRequest(), reply)).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
    }
  });
});
