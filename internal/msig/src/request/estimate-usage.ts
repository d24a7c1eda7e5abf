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

/** Where each kind of request has its prompt. */
const PROMPT_MEMBERS = ['messages', 'prompt', 'instructions', 'input', 'query', 'documents', 'tools'] as const;

/** The same for a request in the words of the API. Images and sounds are left out: their bytes say nothing about tokens. */
export function estimateCompletionUsage(body: JsonObject, answerChars: number): TokenCounts {
  const promptChars = PROMPT_MEMBERS.reduce((sum, member) => sum + charsIn(body[member], member === 'tools'), 0);
  return { promptTokens: Math.ceil(promptChars / CHARS_PER_TOKEN), completionTokens: Math.ceil(answerChars / CHARS_PER_TOKEN), estimated: true };
}

/** Members of messages, items and parts that a model reads; all others are names, types and addresses. */
const READ_MEMBERS = ['content', 'text', 'refusal', 'tool_calls', 'function', 'name', 'arguments', 'output'] as const;

/** Its depth is bounded: such a body was parsed by `parseRequest`. Of a token list each number is one token. */
function charsIn(value: JsonValue | undefined, whole: boolean): number {
  if (typeof value === 'string') return value.length;
  if (typeof value === 'number') return CHARS_PER_TOKEN;
  if (Array.isArray(value)) return value.reduce((sum: number, each: JsonValue) => sum + charsIn(each, whole), 0);
  if (!isJsonObject(value)) return 0;
  if (whole) return Object.entries(value).reduce((sum, [key, each]) => sum + key.length + charsIn(each, true), 0);
  return READ_MEMBERS.reduce((sum, member) => sum + charsIn(value[member], false), 0);
}
