import type { TokenCounts } from '../backends/backend.ts';
import type { Prices } from '../config/gateway-config.ts';

type Counts = Pick<TokenCounts, 'promptTokens' | 'completionTokens' | 'cachedTokens'>;

/** Whole micro-dollars of one call, rounded half up once. */
export function priceOf(prices: Prices, counts: Counts): number {
  return Math.round(dollarsPerMillion(prices, counts));
}

/**
 * Whole nano-dollars (USD 0.000000001): what budgets and the ledger count in. An embedding of ten
 * tokens costs a fifth of a micro-dollar, and a million of them must not cost nothing.
 */
export function priceNanosOf(prices: Prices, counts: Counts): number {
  return Math.round(dollarsPerMillion(prices, counts) * NANOS_PER_MICRO);
}

export const NANOS_PER_MICRO = 1_000;
export const NANOS_PER_USD = 1_000_000_000;

/** USD for a million tokens are micro-dollars for one. A server that says it cached more than it read is not believed. */
function dollarsPerMillion({ input, cachedInput, output }: Prices, { promptTokens, completionTokens, cachedTokens = 0 }: Counts): number {
  const cached = Math.min(cachedTokens, promptTokens);
  return (promptTokens - cached) * input + cached * cachedInput + completionTokens * output;
}
