import type { ChatMessage, ChatRequest, ChatToolCall } from '@openeaap/kernel';
import type { TokenCounts } from './backend.ts';

/** The rule of thumb for English; it is too low for Chinese, which is why the result is marked as estimated. */
const CHARS_PER_TOKEN = 4;

/** Token counts from lengths alone, for answers that came without usage. */
export function estimateUsage(request: ChatRequest, answer: { readonly content: string; readonly toolCalls: readonly ChatToolCall[] }): TokenCounts {
  const promptChars =
    request.messages.reduce((sum, message) => sum + charsOf(message), 0) +
    (request.tools ?? []).reduce((sum, tool) => sum + JSON.stringify(tool).length, 0);
  return {
    promptTokens: Math.ceil(promptChars / CHARS_PER_TOKEN),
    completionTokens: Math.ceil((answer.content.length + charsOfCalls(answer.toolCalls)) / CHARS_PER_TOKEN),
    estimated: true,
  };
}

function charsOf(message: ChatMessage): number {
  return message.content.length + (message.role === 'assistant' ? charsOfCalls(message.toolCalls ?? []) : 0);
}

function charsOfCalls(calls: readonly ChatToolCall[]): number {
  return calls.reduce((sum, call) => sum + call.name.length + call.argumentsText.length, 0);
}
