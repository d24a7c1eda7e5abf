import { describe, expect, test } from 'vitest';
import { toPlatformError } from '@openeaap/kernel';
import { aReply, aRequest, aThink, anAct } from '../testing/fixtures.ts';
import { reactText } from './react-text.ts';

const read = (content: string, finishReason: 'stop' | 'length' = 'stop') => reactText.read(aRequest(), aReply(content, { finishReason })).proposal;
function fateOf(content: string): string {
  try {
    read(content);
    return 'read';
  } catch (thrown) {
    return toPlatformError(thrown).code;
  }
}

describe('ReAct as text', () => {
  test('the form names the tools and stops before an observation; earlier turns come back in the form', () => {
    const journal = [aThink(1, { thought: 'look', calls: [{ id: 'c1', tool: 'look_up', args: { q: 'x' } }] }), anAct(2, 1), aThink(3, null)];
    const request = reactText.ask(aRequest(journal));
    expect(request.stop).toEqual(['\nObservation:']);
    expect(request).not.toHaveProperty('tools');
    expect(request.messages[0]?.content).toContain('- look_up: Looks something up. Input (JSON Schema): {"type":"object"');
    expect(request.messages.slice(2)).toEqual([
      { role: 'assistant', content: 'Thought: look\nAction: look_up\nAction Input: {"q":"x"}' },
      { role: 'user', content: 'Observation: {"output":{"found":7}}' },
      { role: 'user', content: 'Your last reply could not be used: It was nonsense. Reply again.' },
    ]);
  });

  test('malformed input comes back as it was written', () => {
    const journal = [aThink(1, { calls: [{ id: 'c1', tool: 'look_up', args: null, malformed: '{q}' }] }), anAct(2, 1, { status: 'invalid', error: { code: 'invalid_input', message: 'not JSON' } })];
    expect(reactText.ask(aRequest(journal)).messages[2]).toMatchObject({ content: expect.stringContaining('Action Input: {q}') });
  });

  test('an action with its input is one call', () => {
    expect(read('Thought: I must look.\nAction: look_up\nAction Input: {"q": "x"}')).toEqual({ thought: 'I must look.', calls: [{ id: 'call_1', tool: 'look_up', args: { q: 'x' } }], output: null });
  });

  test.each([
    ['a code fence', '```json\n{"q": "x"}\n```'],
    ['talk before and after it', 'here: {"q": "x"} and so {on}'],
    ['quotes and braces inside', '{"q": "x"}'],
  ])('an input in %s is found', (_name, input) => {
    expect(read(`Action: "look_up"\nAction Input: ${input}`).calls).toEqual([{ id: 'call_1', tool: 'look_up', args: { q: 'x' } }]);
  });

  test('braces and escaped quotes in strings do not end the object', () => {
    expect(read('Action: look_up\nAction Input: {"q": "a } \\" { b", "n": {"m": 1}} tail }').calls[0]?.args).toEqual({ q: 'a } " { b', n: { m: 1 } });
  });

  test('no input is an empty object; what is not JSON is kept to be shown', () => {
    expect(read('Action: look_up').calls[0]).toMatchObject({ args: {} });
    expect(read('Action: look_up\nAction Input: {q: x}').calls[0]).toMatchObject({ args: null, malformed: '{q: x}' });
    expect(read('Action: look_up\nAction Input: "x"').calls[0]).toMatchObject({ args: null, malformed: '"x"' });
    expect(read('Action: look_up\nAction Input: {"q": "x', 'length').calls[0]).toMatchObject({ malformed: '{"q": "x' });
  });

  test('an answer ends it, over several lines; an answer before an action counts, one after it does not', () => {
    expect(read('Thought: done.\nFinal Answer: one\ntwo')).toEqual({ thought: 'done.', calls: [], output: 'one\ntwo' });
    expect(read('Final Answer: x\nAction: look_up').output).toBe('x\nAction: look_up');
    expect(read('Action: look_up\nAction Input: {}\nFinal Answer: x')).toMatchObject({ output: null, calls: [{ tool: 'look_up' }] });
  });

  test('what the model writes after an observation of its own making is fiction', () => {
    expect(read('Action: look_up\nAction Input: {}\nObservation: found\nFinal Answer: all is well')).toMatchObject({ output: null, calls: [{ tool: 'look_up' }] });
  });

  test.each([
    ['neither', 'I think I should look.', 'stop'],
    ['nothing', '', 'stop'],
    ['an empty answer', 'Thought: x\nFinal Answer:  ', 'stop'],
    ['an answer that was cut', 'Final Answer: half an ans', 'length'],
  ] as const)('%s is an error that the model is told', (_name, content, reason) => {
    expect(() => read(content, reason)).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
  });

  test.each([
    ['empty lines', '\n'.repeat(1_000_000)],
    ['braces', `Action: look_up\nAction Input: {${'}'.repeat(1_000_000)}`],
    ['open braces', `Action: look_up\nAction Input: ${'{'.repeat(1_000_000)}`],
    ['quotes', `Action: ${'"'.repeat(1_000_000)}x`],
    ['fences', `Action: look_up\nAction Input: ${'``` '.repeat(250_000)}`],
  ])('a megabyte of %s is read in time', (_name, content) => {
    const begun = performance.now();
    expect(['read', 'model_invalid_output']).toContain(fateOf(content));
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
