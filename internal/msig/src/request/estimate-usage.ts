import { isJsonObject } from '@openeaap/kernel';
import type { ChatMessage, ChatRequest, ChatToolCall, JsonObject, JsonValue } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';

/** The rule of thumb for English and its like. */
export const CHARS_PER_TOKEN = 4;

/** Han, kana, Hangul, their punctuation and full-width forms; of the rare Han in pairs, the first half. */
const TOKEN_EACH = /[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\ud840-\ud8bf]+/g;

/**
 * The length of a text in characters of which four are a token: those of Chinese, Japanese and
 * Korean are about a token each. Sums of it are divided by `CHARS_PER_TOKEN`. The search costs
 * nothing for a text without them: a string of one-byte characters cannot match, and is not walked.
 */
export function latinLength(text: string): number {
  return text.length + (CHARS_PER_TOKEN - 1) * (text.length - text.replace(TOKEN_EACH, '').length);
}

/** The beginning of a text that has at most so many tokens, as they are counted here. */
export function takeTokens(text: string, tokens: number): string {
  let left = tokens * CHARS_PER_TOKEN;
  let end = 0;
  for (const character of text) {
    left -= latinLength(character);
    if (left < 0) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Token counts from lengths alone, for answers that came without usage. */
export function estimateUsage(request: ChatRequest, answer: { readonly content: string; readonly toolCalls: readonly ChatToolCall[] }): TokenCounts {
  const promptChars =
    request.messages.reduce((sum, message) => sum + charsOf(message), 0) +
    (request.tools ?? []).reduce((sum, tool) => sum + latinLength(JSON.stringify(tool)), 0);
  return {
    promptTokens: Math.ceil(promptChars / CHARS_PER_TOKEN),
    completionTokens: Math.ceil((latinLength(answer.content) + charsOfCalls(answer.toolCalls)) / CHARS_PER_TOKEN),
    estimated: true,
  };
}

function charsOf(message: ChatMessage): number {
  return latinLength(message.content) + (message.role === 'assistant' ? charsOfCalls(message.toolCalls ?? []) : 0);
}

function charsOfCalls(calls: readonly ChatToolCall[]): number {
  return calls.reduce((sum, call) => sum + call.name.length + latinLength(call.argumentsText), 0);
}

/** Where each kind of request has its prompt. */
const PROMPT_MEMBERS = ['messages', 'prompt', 'instructions', 'input', 'query', 'documents', 'tools'] as const;

/** The same for a request in the words of the API; `answerChars` as `latinLength` counts them. Images and sounds are left out: their bytes say nothing about tokens. */
export function estimateCompletionUsage(body: JsonObject, answerChars: number): TokenCounts {
  const promptChars = PROMPT_MEMBERS.reduce((sum, member) => sum + charsIn(body[member], member === 'tools'), 0);
  return { promptTokens: Math.ceil(promptChars / CHARS_PER_TOKEN), completionTokens: Math.ceil(answerChars / CHARS_PER_TOKEN), estimated: true };
}

/** Members of messages, items and parts that a model reads; all others are names, types and addresses. */
const READ_MEMBERS = ['content', 'text', 'refusal', 'tool_calls', 'function', 'name', 'arguments', 'output'] as const;

/** Its depth is bounded: such a body was parsed by `parseRequest`. Of a token list each number is one token. */
function charsIn(value: JsonValue | undefined, whole: boolean): number {
  if (typeof value === 'string') return latinLength(value);
  if (typeof value === 'number') return CHARS_PER_TOKEN;
  if (Array.isArray(value)) return value.reduce((sum: number, each: JsonValue) => sum + charsIn(each, whole), 0);
  if (!isJsonObject(value)) return 0;
  if (whole) return Object.entries(value).reduce((sum, [key, each]) => sum + key.length + charsIn(each, true), 0);
  return READ_MEMBERS.reduce((sum, member) => sum + charsIn(value[member], false), 0);
}
