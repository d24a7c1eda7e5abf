import type { ChatMessage, ChatRequest, JsonObject } from '@openeaap/kernel';
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

function toWireMessage(message: ChatMessage): Readonly<Record<string, unknown>> {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
  if (message.role !== 'assistant' || message.toolCalls === undefined || message.toolCalls.length === 0) {
    return { role: message.role, content: message.content };
  }
  return {
    role: 'assistant',
    content: message.content === '' ? null : message.content,
    tool_calls: message.toolCalls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.argumentsText } })),
  };
}
