import type { ChatRequest, JsonObject } from '@openeaap/kernel';
import { toWireMessage } from './chat-completions-request.ts';
import type { ModelRequest } from './model-request.ts';

/** A chat of the platform as a streamed request in the words of the API. How much may be written is said beside it. */
export function toChatModelRequest(request: ChatRequest): ModelRequest {
  const { model, messages, tools, temperature, stop } = request;
  const body = {
    model,
    messages: messages.map(toWireMessage),
    stream: true,
    stream_options: { include_usage: true },
    ...(tools === undefined || tools.length === 0 ? {} : { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(stop === undefined || stop.length === 0 ? {} : { stop }),
  };
  return { kind: 'chat', text: JSON.stringify(body), body: body as unknown as JsonObject, model, isStream: true, wantsUsage: true, wantsUsageOnEveryChunk: false, choices: 1, maxTokens: request.maxTokens ?? null };
}
