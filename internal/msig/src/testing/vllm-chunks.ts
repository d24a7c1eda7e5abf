import { FINGERPRINT, messageItem, responseDocument, usageOf } from './vllm-words.ts';
import type { Told } from './vllm-words.ts';

/** The streams of the double of vLLM, in the words of `vllm-words.ts`. */
type Json = Readonly<Record<string, unknown>>;

export interface StreamWish {
  readonly usage: boolean;
  readonly usageOnEveryChunk: boolean;
}

/** The chunks of a chat, the role first, the usage last; without the `[DONE]`. */
export function chatChunks(told: Told, wish: StreamWish): readonly Json[] {
  const pieces = [
    ...(told.answer.reasoning ?? []).map((reasoning) => ({ reasoning })),
    ...(told.answer.toolCalls === undefined ? told.answer.tokens.map((content) => ({ content })) : [...told.answer.toolCalls.flatMap((call, index) => callDeltas(told.id, call, index)), {}]),
  ];
  const deltas = pieces.length === 0 ? [{ content: '' }] : pieces;
  const counted = (tokens: number): Json => (wish.usageOnEveryChunk ? { usage: { prompt_tokens: told.promptTokens, total_tokens: told.promptTokens + tokens, completion_tokens: tokens, completion_tokens_details: null } } : {});
  const head = { id: `chatcmpl-${told.id}`, object: 'chat.completion.chunk', created: told.created, model: told.model };
  return [
    { ...head, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }], ...counted(0), prompt_token_ids: null, prompt_text: null },
    ...deltas.map((delta, index) => {
      const isLast = index === deltas.length - 1;
      const end = isLast ? { finish_reason: told.finishReason, stop_reason: null } : { finish_reason: null };
      return { ...head, choices: [{ index: 0, delta, logprobs: null, ...end, token_ids: null }], ...counted(Math.min(index + 1, told.completionTokens)), ...(isLast && !wish.usage ? { system_fingerprint: FINGERPRINT } : {}) };
    }),
    ...(wish.usage ? [{ ...head, choices: [], usage: usageOf(told), system_fingerprint: FINGERPRINT }] : []),
  ];
}

function callDeltas(id: string, call: { readonly name: string; readonly arguments: string }, index: number): readonly Json[] {
  const half = Math.ceil(call.arguments.length / 2);
  return [
    { content: null, tool_calls: [{ id: `chatcmpl-tool-${id}-${index}`, type: 'function', index, function: { name: call.name } }] },
    ...[call.arguments.slice(0, half), call.arguments.slice(half)].map((piece) => ({ content: null, tool_calls: [{ index, function: { arguments: piece } }] })),
  ];
}

export function completionChunks(told: Told, wish: StreamWish): readonly Json[] {
  const head = { id: `cmpl-${told.id}`, object: 'text_completion', created: told.created, model: told.model };
  const texts = told.answer.tokens.length === 0 ? [''] : told.answer.tokens;
  return [
    ...texts.map((text, index) => ({
      ...head,
      choices: [{ index: 0, text, logprobs: null, finish_reason: index === texts.length - 1 ? told.finishReason : null, stop_reason: null, prompt_token_ids: null, token_ids: null }],
      ...(wish.usageOnEveryChunk ? { usage: { prompt_tokens: told.promptTokens, total_tokens: told.promptTokens + index + 1, completion_tokens: index + 1 } } : {}),
    })),
    ...(wish.usage ? [{ ...head, choices: [], usage: usageOf(told), system_fingerprint: FINGERPRINT }] : []),
  ];
}

/** The typed events of a stream of `/v1/responses`; it ends without `[DONE]`, and an answer cut short is `response.completed` too. */
export function responseEvents(told: Told): readonly Json[] {
  const part = { content_index: 0, item_id: `msg_${told.id}`, output_index: 0 };
  const text = told.answer.tokens.join('');
  const events: readonly Json[] = [
    { response: responseDocument(told, { isBegun: true }), type: 'response.created' },
    { response: responseDocument(told, { isBegun: true }), type: 'response.in_progress' },
    { item: messageItem(told, 'in_progress'), output_index: 0, type: 'response.output_item.added' },
    { ...part, part: { annotations: [], text: '', type: 'output_text', logprobs: [] }, type: 'response.content_part.added' },
    ...told.answer.tokens.map((delta) => ({ ...part, delta, logprobs: [], type: 'response.output_text.delta' })),
    { ...part, logprobs: [], text, type: 'response.output_text.done' },
    { ...part, part: { annotations: [], text, type: 'output_text', logprobs: null }, type: 'response.content_part.done' },
    { item: messageItem(told, 'completed'), output_index: 0, type: 'response.output_item.done' },
    { response: responseDocument(told, { isBegun: false }), type: 'response.completed' },
  ];
  return events.map((event, index) => ({ ...event, sequence_number: index }));
}
