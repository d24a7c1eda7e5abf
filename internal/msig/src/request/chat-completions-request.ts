import type { ChatMessage, ChatRequest } from '@openeaap/kernel';

/** The body of `POST /chat/completions`, always asked for as a stream with usage. */
export function toChatCompletionsBody(request: ChatRequest, target: { readonly model: string; readonly origin: string }): string {
  return JSON.stringify({
    model: target.model,
    messages: request.messages.map(toWireMessage),
    stream: true,
    stream_options: { include_usage: true },
    ...(request.tools === undefined || request.tools.length === 0
      ? {}
      : { tools: request.tools.map((tool) => ({ type: 'function', function: tool })) }),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.maxTokens === undefined ? {} : { [maxTokensKey(target.origin)]: request.maxTokens }),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
  });
}

/** OpenAI's newer models refuse `max_tokens`; several compatible servers know nothing else. */
function maxTokensKey(origin: string): string {
  return isOpenAiHost(origin) ? 'max_completion_tokens' : 'max_tokens';
}

/** OpenAI itself, or its models at Azure. */
export function isOpenAiHost(origin: string): boolean {
  return /\.openai\.(azure\.)?com$/.test(new URL(origin).hostname);
}

export function toWireMessage(message: ChatMessage): Readonly<Record<string, unknown>> {
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
