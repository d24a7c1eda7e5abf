import type { JsonObject } from '@openeaap/kernel';
import type { BackendCall, RequestReply } from './backend.ts';
import type { AskChat, ChatTryReply } from './chat-call.ts';
import { toWireUsage } from '../answer/completion-relay.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { toChatRequest } from '../request/to-chat-request.ts';

export interface ByChatMeans {
  readonly chat: AskChat;
  /** What the answer calls its model until the reply says better. */
  readonly model: string;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A completion from a backend that knows chats only, in the framing of OpenAI: role, text, tool calls, reason, usage. */
export async function completeByChat(completion: ModelRequest, call: BackendCall, { chat, model, newId, now }: ByChatMeans): Promise<RequestReply> {
  const request = toChatRequest(completion, call.maxTokens);
  const envelope = { id: `chatcmpl-${newId()}`, created: Math.floor(now() / 1_000), model };
  const toChunk = (choices: readonly JsonObject[]): JsonObject => ({
    ...envelope,
    object: 'chat.completion.chunk',
    choices,
    ...(completion.wantsUsage ? { usage: null } : {}),
  });
  // One after the other, for a chunk may have to wait for the reader; bounded by the text of one reply.
  let sent = Promise.resolve();
  const send = (chunk: JsonObject): void => {
    sent = sent.then(() => call.onChunk(JSON.stringify(chunk)) ?? undefined);
    // Who awaits `sent` below gets the error; until then it is nobody's.
    sent.catch(() => undefined);
  };
  let isOpen = false;
  const open = (): void => {
    if (isOpen) return;
    isOpen = true;
    send(toChunk([choiceOf({ role: 'assistant', content: '', refusal: null })]));
  };
  const onDelta = (text: string): void => {
    open();
    send(toChunk([choiceOf({ content: text })]));
  };
  const reply = await chat(request, { ...call, onDelta: completion.isStream ? onDelta : () => undefined });
  const outcome = { model: reply.model, finishReason: toWireReason(reply), usage: reply.usage };
  if (!completion.isStream) return { ...outcome, document: JSON.stringify(toDocument({ ...envelope, model: reply.model }, reply)) };
  open();
  reply.toolCalls.forEach((each, index) => {
    send(toChunk([choiceOf({ tool_calls: [{ index, id: each.id, type: 'function', function: { name: each.name, arguments: '' } }] })]));
    send(toChunk([choiceOf({ tool_calls: [{ index, function: { arguments: each.argumentsText } }] })]));
  });
  send(toChunk([choiceOf({}, outcome.finishReason)]));
  if (completion.wantsUsage) send({ ...toChunk([]), usage: toWireUsage(reply.usage) });
  await sent;
  return { ...outcome, document: null };
}

function choiceOf(delta: JsonObject, finishReason: string | null = null): JsonObject {
  return { index: 0, delta, logprobs: null, finish_reason: finishReason };
}

function toDocument(envelope: JsonObject, reply: ChatTryReply): JsonObject {
  const calls = reply.toolCalls.map(({ id, name, argumentsText }) => ({ id, type: 'function', function: { name, arguments: argumentsText } }));
  const content = reply.content === '' && calls.length > 0 ? null : reply.content;
  const message = { role: 'assistant', content, refusal: null, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
  return { ...envelope, object: 'chat.completion', choices: [{ index: 0, message, logprobs: null, finish_reason: toWireReason(reply) }], usage: toWireUsage(reply.usage) };
}

function toWireReason({ finishReason }: ChatTryReply): string {
  return finishReason === 'other' ? 'stop' : finishReason;
}
