import { describe, expect, test } from 'vitest';
import { aReply, aRequest, aThink } from '../testing/fixtures.ts';
import { chainOfThought } from './cot.ts';

const read = (content: string, finishReason: 'stop' | 'length' = 'stop') => chainOfThought.read(aRequest(), aReply(content, { finishReason })).proposal;

describe('chain of thought', () => {
  test('asks once, without tools, and again with each correction since the last reply that worked', () => {
    const request = chainOfThought.ask(aRequest([aThink(1, null), aThink(2, null)]));
    expect(request).not.toHaveProperty('tools');
    expect(request.messages.map(({ role }) => role)).toEqual(['system', 'user', 'user', 'user']);
  });

  test('keeps the reasoning and the answer apart, by the last mark', () => {
    expect(read('First: a.\nFinal Answer: no\nwait.\nFinal Answer: 42')).toEqual({ thought: 'First: a.\nFinal Answer: no\nwait.', calls: [], output: '42' });
  });

  test('an answer without the mark is an answer', () => {
    expect(read('42')).toEqual({ thought: '', calls: [], output: '42' });
  });

  test('nothing, a cut reply and an empty answer are errors that the model is told', () => {
    for (const [content, reason] of [['', 'stop'], ['Step 1', 'length'], ['Step 1\nFinal Answer:', 'stop']] as const) {
      expect(() => read(content, reason)).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
    }
  });

  test('a megabyte of empty lines is read in time', () => {
    const begun = performance.now();
    expect(read(`x${'\n'.repeat(1_000_000)}y`).output).toContain('y');
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
