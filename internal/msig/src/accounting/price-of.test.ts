import { describe, expect, test } from 'vitest';
import { priceNanosOf, priceOf } from './price-of.ts';

const PRICES = { input: 2.5, cachedInput: 1.25, output: 10 };

describe('the price of a call', () => {
  test.each([
    [{ promptTokens: 1_000_000, completionTokens: 0 }, 2_500_000],
    [{ promptTokens: 1_000_000, completionTokens: 0, cachedTokens: 400_000 }, 2_000_000],
    [{ promptTokens: 0, completionTokens: 1_000 }, 10_000],
    [{ promptTokens: 0, completionTokens: 0 }, 0],
    // More cached than there was: at most all of it.
    [{ promptTokens: 100, completionTokens: 0, cachedTokens: 1_000 }, 125],
  ])('%j is %d micro-dollars', (counts, micros) => {
    expect(priceOf(PRICES, counts)).toBe(micros);
    expect(priceNanosOf(PRICES, counts)).toBe(micros * 1_000);
  });

  test('is rounded half up once', () => {
    expect([1, 3, 5].map((promptTokens) => priceOf({ input: 0.5, cachedInput: 0, output: 0 }, { promptTokens, completionTokens: 0 }))).toEqual([1, 2, 3]);
  });

  test('a call too cheap for a micro-dollar is not free', () => {
    const embedding = { promptTokens: 10, completionTokens: 0 };
    expect(priceOf({ input: 0.02, cachedInput: 0, output: 0 }, embedding)).toBe(0);
    expect(priceNanosOf({ input: 0.02, cachedInput: 0, output: 0 }, embedding)).toBe(200);
  });
});
