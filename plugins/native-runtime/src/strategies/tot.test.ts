import { describe, expect, test } from 'vitest';
import type { JsonValue, ThinkStep } from '@openeaap/kernel';
import { aReply, aRequest, aThink } from '../testing/fixtures.ts';
import { treeOfThoughts } from './tot.ts';

/** What a journal keeps of a think: its state goes through storage as JSON. */
const thinkOf = (no: number, reading: ReturnType<typeof treeOfThoughts.read>): ThinkStep =>
  aThink(no, reading.proposal, { strategyState: JSON.parse(JSON.stringify(reading.strategyState)) as JsonValue });

const thoughts = (...items: readonly (readonly [number, string])[]): string => `Sure: ${JSON.stringify({ thoughts: items.map(([line, text]) => ({ line, text })) })} done.`;
const ratings = (...scores: readonly number[]): string => JSON.stringify({ ratings: scores.map((score, index) => ({ line: index + 1, score })) });
const last = (journal: readonly ThinkStep[]): string => treeOfThoughts.ask(aRequest(journal, { reasoning: 'tot' })).messages[2]?.content ?? '';

describe('tree of thoughts', () => {
  test('searches in breadth with a beam of two over two levels, and answers from the best path: five model calls', () => {
    const journal: ThinkStep[] = [];
    const prompts: string[] = [];
    const replies = [
      thoughts([1, 'a'], [1, 'b'], [1, 'c'], [1, 'beyond the three']),
      ratings(3, 9, 6),
      thoughts([1, 'b1'], [2, 'c1'], [1, 'b2'], [7, 'no such line'], [2, ' ']),
      ratings(5, 8, 7),
      'The answer is b.',
    ];
    let output: JsonValue = null;
    for (const [index, reply] of replies.entries()) {
      prompts.push(last(journal));
      const reading = treeOfThoughts.read(aRequest(journal), aReply(reply));
      expect(reading.proposal.calls).toEqual([]);
      output = reading.proposal.output;
      journal.push(thinkOf(index + 1, reading));
    }
    expect(output).toBe('The answer is b.');
    expect(prompts[0]).toContain('1. (start)');
    expect(prompts[1]).toContain('1. a\n2. b\n3. c\nRate');
    expect(prompts[2]).toContain('1. b\n2. c\nPropose');
    expect(prompts[3]).toContain('1. b -> b1\n2. c -> c1\n3. b -> b2\nRate');
    expect(prompts[4]).toContain('1. c -> c1\nGive the final answer');
    expect(journal.slice(0, 4).every(({ proposal }) => proposal?.output === null && proposal.thought !== '')).toBe(true);
  });

  test('a reply that cannot be used keeps the tree as it was and is corrected', () => {
    const first = thinkOf(1, treeOfThoughts.read(aRequest(), aReply(thoughts([1, 'a']))));
    const asked = treeOfThoughts.ask(aRequest([first, aThink(2, null)]));
    expect(asked.messages[2]?.content).toContain('Rate');
    expect(asked.messages[3]?.content).toContain('It was nonsense.');
  });

  test.each([
    ['no JSON', 'I would say a.'],
    ['no object', '[1, 2]'],
    ['JSON that was cut', '{"thoughts": [{"line": 1, "text": "a"}'],
    ['no usable entry', thoughts([9, 'a'])],
    ['entries of the wrong kind', '{"thoughts": ["a", 7, null]}'],
  ])('%s where thoughts were asked for is an error that the model is told', (_name, content) => {
    expect(() => treeOfThoughts.read(aRequest(), aReply(content))).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
  });

  test('paths that were not rated are left out; no rating at all, and no answer, are errors', () => {
    const rate = [thinkOf(1, treeOfThoughts.read(aRequest(), aReply(thoughts([1, 'a'], [1, 'b']))))];
    expect(treeOfThoughts.read(aRequest(rate), aReply('{"ratings": [{"line": 2, "score": 1}, {"line": 1, "score": "high"}]}')).strategyState).toMatchObject({ paths: [['b']] });
    expect(() => treeOfThoughts.read(aRequest(rate), aReply('{"ratings": []}'))).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
    const conclude = [aThink(1, {}, { strategyState: { phase: 'conclude', depth: 2, paths: [['a']], candidates: [] } })];
    expect(() => treeOfThoughts.read(aRequest(conclude), aReply(' '))).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
    expect(() => treeOfThoughts.read(aRequest(conclude), aReply('half', { finishReason: 'length' }))).toThrow(expect.objectContaining({ code: 'model_invalid_output' }));
  });

  test('a state that is no tree starts over', () => {
    for (const strategyState of [null, 'x', { phase: 'dance' }, []]) expect(last([aThink(1, {}, { strategyState })])).toContain('(start)');
  });
});
