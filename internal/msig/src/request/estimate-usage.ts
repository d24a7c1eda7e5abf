import { isJsonObject } from '@openeaap/kernel';
import type { ChatMessage, ChatRequest, ChatToolCall, JsonObject, JsonValue } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';

/** The rule of thumb for English; it is too low for Chinese, which is why the result is marked as estimated. */
export const CHARS_PER_TOKEN = 4;

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

/** The same for a request in the words of the API. Images and sounds are left out: their bytes say nothing about tokens. */
export function estimateCompletionUsage(body: JsonObject, answerChars: number): TokenCounts {
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isJsonObject) : [];
  const tools = body['tools'] === undefined ? 0 : JSON.stringify(body['tools']).length;
  const promptChars = messages.reduce((sum, message) => sum + charsOfContent(message['content']) + charsOfContent(message['tool_calls']), tools);
  return { promptTokens: Math.ceil(promptChars / CHARS_PER_TOKEN), completionTokens: Math.ceil(answerChars / CHARS_PER_TOKEN), estimated: true };
}

function charsOfContent(content: JsonValue | undefined): number {
  if (typeof content === 'string') return content.length;
  if (!Array.isArray(content)) return 0;
  return content.filter(isJsonObject).reduce((sum, part) => {
    const call = isJsonObject(part['function']) ? part['function'] : {};
    return sum + [part['text'], call['name'], call['arguments']].reduce<number>((chars, text) => chars + (typeof text === 'string' ? text.length : 0), 0);
  }, 0);
}
