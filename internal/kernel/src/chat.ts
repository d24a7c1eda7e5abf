import type { JsonObject } from './json.ts';

/**
 * The chat-completions shape, reduced to what an agent needs. Source: the OpenAI Chat
 * Completions API, which vLLM, Ollama and llama.cpp serve too.
 */
export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | { readonly role: 'assistant'; readonly content: string; readonly toolCalls?: readonly ChatToolCall[] }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

export interface ChatToolCall {
  readonly id: string;
  readonly name: string;
  /** Exactly what the model wrote; not yet known to be JSON. */
  readonly argumentsText: string;
}

export interface ChatTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly parameters: JsonObject;
}

export interface ChatRequest {
  /** A backend's name, or a capability such as `security_analysis`; the gateway routes. Empty: the default. */
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ChatTool[];
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
}

export interface ChatReply {
  readonly content: string;
  readonly toolCalls: readonly ChatToolCall[];
  readonly finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'other';
  readonly usage: TokenUsage;
  /** The backend that answered, e.g. `scripted-demo`. */
  readonly backend: string;
  /** The model's own name for itself. */
  readonly model: string;
}

/** Token counts as the backend reported them; `estimated` when it reported none. */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costUsdMicros: number;
  /** Of the prompt: read from the server's own cache. */
  readonly cachedTokens?: number;
  /** Of the completion: thoughts that are not part of the answer. */
  readonly reasoningTokens?: number;
  readonly estimated?: boolean;
}

export const NO_USAGE: TokenUsage = { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 };

export function addUsage(a: TokenUsage, b: TokenUsage): TokenUsage {
  const cached = (a.cachedTokens ?? 0) + (b.cachedTokens ?? 0);
  const reasoning = (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0);
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    costUsdMicros: a.costUsdMicros + b.costUsdMicros,
    ...(cached === 0 ? {} : { cachedTokens: cached }),
    ...(reasoning === 0 ? {} : { reasoningTokens: reasoning }),
    ...(a.estimated === true || b.estimated === true ? { estimated: true } : {}),
  };
}
