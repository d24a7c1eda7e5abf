import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';

/**
 * Usage as any endpoint tells it: `prompt_tokens` and `completion_tokens` of chats, `input_tokens`
 * and `output_tokens` of responses, only `total_tokens` of a rerank. null where it is none.
 */
export function readUsage(value: JsonValue | undefined): TokenCounts | null {
  if (!isJsonObject(value)) return null;
  const written = value['completion_tokens'] ?? value['output_tokens'] ?? 0;
  const promptTokens = value['prompt_tokens'] ?? value['input_tokens'] ?? value['total_tokens'];
  if (!isCount(promptTokens) || !isCount(written)) return null;
  const cached = detail(value, ['prompt_tokens_details', 'input_tokens_details'], 'cached_tokens');
  const reasoning = detail(value, ['completion_tokens_details', 'output_tokens_details'], 'reasoning_tokens');
  // Some servers leave the thoughts out of the completion; the total then shows it.
  const completionTokens = reasoning > 0 && value['total_tokens'] === promptTokens + written + reasoning ? written + reasoning : written;
  return {
    promptTokens,
    completionTokens,
    ...(cached === 0 ? {} : { cachedTokens: Math.min(cached, promptTokens) }),
    ...(reasoning === 0 ? {} : { reasoningTokens: Math.min(reasoning, completionTokens) }),
  };
}

/** Of chats and completions; `estimated` is ours. */
export function toWireUsage({ promptTokens, completionTokens, cachedTokens, reasoningTokens, estimated }: TokenCounts): JsonObject {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(cachedTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    ...(reasoningTokens === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
    ...(estimated === true ? { estimated } : {}),
  };
}

/** Of responses, whose details are not optional. */
export function toResponseUsage({ promptTokens, completionTokens, cachedTokens, reasoningTokens, estimated }: TokenCounts): JsonObject {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
    total_tokens: promptTokens + completionTokens,
    ...(estimated === true ? { estimated } : {}),
  };
}

function detail(usage: JsonObject, places: readonly string[], name: string): number {
  for (const place of places) {
    const details = usage[place];
    const count = isJsonObject(details) ? details[name] : undefined;
    if (isCount(count)) return count;
  }
  return 0;
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
