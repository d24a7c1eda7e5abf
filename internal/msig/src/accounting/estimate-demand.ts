import type { Prices } from '../config/gateway-config.ts';
import { estimateCompletionUsage } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { priceNanosOf } from './price-of.ts';

/** Of each choice, where the client sets no bound: what most answers stay below; what goes beyond it is taken afterwards. */
const ANSWER_TOKENS = 1_024;

/** What a request will take at most, as far as it can be told before it is made. */
export function estimateDemand(request: ModelRequest, { maxTokens, prices }: { readonly maxTokens: number | null; readonly prices: Prices }): { readonly tokens: number; readonly costUsdNanos: number } {
  const { promptTokens } = estimateCompletionUsage(request.body, 0);
  const completionTokens = (maxTokens ?? ANSWER_TOKENS) * request.choices;
  return { tokens: promptTokens + completionTokens, costUsdNanos: priceNanosOf(prices, { promptTokens, completionTokens }) };
}
