import { describe, expect, it } from 'vitest';
import { estimateDemand } from '../accounting/estimate-demand.ts';
import { promptFactsOf } from '../routing/prompt-facts.ts';
import { aRequest } from '../routing/testing/a-fleet.ts';
import { estimateCompletionUsage, estimateUsage, latinLength, takeTokens } from './estimate-usage.ts';

const FREE = { input: 0, cachedInput: 0, output: 0 };

describe('a text has about', () => {
  it.each([
    ['nothing', '', 0],
    ['English', 'Four letters a token.'.padEnd(40), 10],
    ['accents and Cyrillic', 'déjà vu, привет!'.padEnd(40), 10],
    ['emoji, by their two units', '😀'.repeat(20), 10],
    ['Chinese', '你好世界'.repeat(10), 40],
    ['its punctuation and full-width forms', '，。！ＡＢ', 5],
    ['Japanese', 'こんにちは、カタカナ', 10],
    ['Korean', '안녕하세요', 5],
    ['both', `${'x'.repeat(40)}${'你'.repeat(40)}`, 50],
    ['rare Han, in pairs', '𠀀𠀁𠀂𠀃', 5],
    ['half a pair', '\ud840', 1],
  ] as const)('%s', (_what, text, tokens) => {
    expect(Math.ceil(latinLength(text) / 4)).toBe(tokens);
  });

  it('as many for the routing, for a reservation and for an answer without usage', () => {
    const text = `${'警报'.repeat(30)} triage this alert, please`;
    const chat = aRequest({ prompt: text });
    const expected = 60 + Math.ceil(' triage this alert, please'.length / 4);
    expect([
      promptFactsOf(chat).promptTokens,
      estimateDemand(chat, { maxTokens: 0, prices: FREE }).tokens,
      estimateCompletionUsage(chat.body, 0).promptTokens,
      estimateUsage({ model: '', messages: [{ role: 'user', content: text }] }, { content: text, toolCalls: [] }).completionTokens,
      promptFactsOf(aRequest({ kind: 'embeddings', body: { input: [text, 'x'] } })).longestTokens,
      promptFactsOf(aRequest({ kind: 'rerank', body: { query: text, documents: ['x'] } })).longestTokens,
      promptFactsOf(aRequest({ kind: 'responses', body: { instructions: text, input: [] } })).promptTokens,
    ]).toEqual([expected, expected, expected, expected, expected, expected, expected]);
  });
});

describe('the beginning of a text', () => {
  it.each([
    ['abcdefghij', 2, 'abcdefgh'],
    ['你好世界', 2, '你好'],
    ['ab你好', 1, 'ab'],
    ['a😀b', 0.5, 'a'],
    ['short', 2, 'short'],
  ] as const)('%j of %d tokens ends between two characters', (text, tokens, taken) => {
    expect(takeTokens(text, tokens)).toBe(taken);
  });
});
