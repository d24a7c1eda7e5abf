import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import type { RequestKind } from '../request/model-request.ts';

/** What the double of vLLM answers, in the words that a real 0.32 was seen to use. */
export interface VllmAnswer {
  /** Joined they are the text; each is one token and, in a stream, one chunk. */
  readonly tokens: readonly string[];
  /** Thoughts before the answer, as `reasoning`. */
  readonly reasoning?: readonly string[];
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: string }[];
}

export interface Told {
  readonly id: string;
  readonly model: string;
  /** Seconds. */
  readonly created: number;
  readonly answer: VllmAnswer;
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** null: the server runs without `--enable-prompt-tokens-details`. */
  readonly cachedTokens: number | null;
}

type Json = Readonly<Record<string, unknown>>;

export const FINGERPRINT = 'vllm-0.32.0-f3ff7e27';

export function usageOf(told: Told): Json {
  const { promptTokens, completionTokens, cachedTokens } = told;
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
    ...(cachedTokens === null ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens, created_cache_tokens: 0 } }),
    ...(told.answer.reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: told.answer.reasoning.length } }),
  };
}

export function chatDocument(told: Told): Json {
  const { answer } = told;
  const calls = answer.toolCalls?.map((call, index) => ({ id: `chatcmpl-tool-${told.id}-${index}`, type: 'function', function: { name: call.name, arguments: call.arguments } }));
  const message = {
    role: 'assistant',
    content: calls === undefined ? answer.tokens.join('') : null,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    ...(calls === undefined ? {} : { tool_calls: calls }),
    reasoning: answer.reasoning?.join('') ?? null,
  };
  return {
    id: `chatcmpl-${told.id}`,
    object: 'chat.completion',
    created: told.created,
    model: told.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: told.finishReason, stop_reason: null, token_ids: null, routed_experts: null }],
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: { ...usageOf(told), completion_tokens_details: usageOf(told)['completion_tokens_details'] ?? null },
    prompt_logprobs: null,
    prompt_token_ids: null,
    prompt_text: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  };
}

export function completionDocument(told: Told): Json {
  return {
    id: `cmpl-${told.id}`,
    object: 'text_completion',
    created: told.created,
    model: told.model,
    choices: [{ index: 0, text: told.answer.tokens.join(''), logprobs: null, finish_reason: told.finishReason, stop_reason: null, token_ids: null, prompt_logprobs: null, prompt_token_ids: null, routed_experts: null }],
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: { ...usageOf(told), completion_tokens_details: null },
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  };
}

/** The document of `/v1/responses`; `status` is `in_progress` while nothing was written. */
export function responseDocument(told: Told, { isBegun }: { readonly isBegun: boolean }): Json {
  const isCut = told.finishReason === 'length';
  const status = isBegun ? 'in_progress' : isCut ? 'incomplete' : 'completed';
  return {
    id: `resp_${told.id}`,
    created_at: told.created,
    incomplete_details: !isBegun && isCut ? { reason: 'max_output_tokens' } : null,
    instructions: null,
    metadata: null,
    model: told.model,
    object: 'response',
    output: isBegun ? [] : [messageItem(told, 'completed')],
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'none',
    tools: [],
    top_p: 1,
    background: false,
    max_output_tokens: 1_024,
    max_tool_calls: null,
    previous_response_id: null,
    prompt: null,
    reasoning: null,
    service_tier: 'auto',
    status,
    text: null,
    top_logprobs: null,
    truncation: 'disabled',
    usage: isBegun
      ? null
      : {
          input_tokens: told.promptTokens,
          input_tokens_details: { cached_tokens: told.cachedTokens ?? 0, cache_write_tokens: 0, input_tokens_per_turn: [], cached_tokens_per_turn: [] },
          output_tokens: told.completionTokens,
          output_tokens_details: { reasoning_tokens: told.answer.reasoning?.length ?? 0, tool_output_tokens: 0, output_tokens_per_turn: [], tool_output_tokens_per_turn: [] },
          total_tokens: told.promptTokens + told.completionTokens,
        },
    user: null,
  };
}

export function messageItem(told: Told, status: string): Json {
  const content = status === 'completed' ? [{ annotations: [], text: told.answer.tokens.join(''), type: 'output_text', logprobs: null }] : [];
  return { id: `msg_${told.id}`, content, role: 'assistant', status, type: 'message', phase: null };
}

export function documentOf(kind: RequestKind, body: JsonObject, told: Told): object {
  const usage = { prompt_tokens: told.promptTokens, total_tokens: told.promptTokens };
  switch (kind) {
    case 'chat':
      return chatDocument(told);
    case 'completions':
      return completionDocument(told);
    case 'responses':
      return responseDocument(told, { isBegun: false });
    case 'embeddings': {
      const inputs = Array.isArray(body['input']) ? body['input'] : [body['input']];
      const vector = (text: string): readonly number[] => [text.length / 100, 0.5, -0.25, 1];
      const encode = (numbers: readonly number[]): unknown => (body['encoding_format'] === 'base64' ? Buffer.from(new Float32Array(numbers).buffer).toString('base64') : numbers);
      return { id: `embd-${told.id}`, object: 'list', created: told.created, model: told.model, data: inputs.map((input, index) => ({ index, object: 'embedding', embedding: encode(vector(String(input))) })), usage: { ...usage, completion_tokens: 0, prompt_tokens_details: null } };
    }
    case 'rerank': {
      const documents = Array.isArray(body['documents']) ? body['documents'] : [];
      const results = documents.map((text, index) => ({ index, document: { text: String(text), multi_modal: null }, relevance_score: 1 / (index + 2) }));
      const top = typeof body['top_n'] === 'number' && body['top_n'] > 0 ? body['top_n'] : results.length;
      return { id: `score-${told.id}`, model: told.model, usage, results: results.slice(0, top) };
    }
  }
}

/** Text of whatever kind of prompt the body has, roughly as a chat template would write it. */
export function promptText(body: JsonObject): string {
  const messages = body['messages'];
  if (Array.isArray(messages)) return messages.filter(isJsonObject).map((message) => `<|${textOf(message['role'])}|>${textOf(message['content'])}`).join('') + '<|assistant|>';
  return ['prompt', 'input', 'query', 'documents'].map((name) => textOf(body[name])).join('');
}

export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return JSON.stringify(value);
}

/** Four characters a token: real tokenizers are near that for English. */
export function toTokens(text: string): readonly string[] {
  return text.match(/[\s\S]{1,4}/g) ?? [];
}
