import { PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { toWireUsage } from '../answer/wire-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { toChatRequest } from '../request/to-chat-request.ts';
import type { Backend, BackendCall, RequestReply } from './backend.ts';
import type { AskChat, ChatTryReply } from './chat-call.ts';
import { responsesByChat } from './responses-by-chat.ts';

export interface ByChatMeans {
  readonly chat: AskChat;
  /** What the answer calls its model until the reply says better. */
  readonly model: string;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Whatever is asked of a backend that knows chats only. Errors: `invalid_input` for vectors and reranks, which chats are not. */
export function completeByChat(request: ModelRequest, call: BackendCall, means: ByChatMeans): Promise<RequestReply> {
  return responsesByChat((asked, underCall) => complete(asked, underCall, means), means)(request, call);
}

const complete = async (request: ModelRequest, call: BackendCall, means: ByChatMeans): ReturnType<Backend['ask']> => {
  const form = FORMS[request.kind];
  if (form === undefined) {
    throw new PlatformError('invalid_input', `This backend answers chats, completions and responses, no ${request.kind}. Name a backend whose 'kinds' has "${request.kind}".`, { details: { field: 'model' } });
  }
  return completeIn(form, { request, call, means });
};

interface Completing {
  readonly request: ModelRequest;
  readonly call: BackendCall;
  readonly means: ByChatMeans;
}

/** In the framing of OpenAI: role, text, tool calls, reason, usage. */
async function completeIn(form: Form, { request, call, means }: Completing): Promise<RequestReply> {
  const { chat, model, newId, now } = means;
  const chatRequest = toChatRequest(request, call.maxTokens);
  const envelope = { id: `${form.idPrefix}-${newId()}`, created: Math.floor(now() / 1_000), model };
  const toChunk = (choices: readonly JsonObject[]): JsonObject => ({ ...envelope, object: form.chunkObject, choices, ...(request.wantsUsage ? { usage: null } : {}) });
  // One after the other, for a chunk may have to wait for the reader; bounded by the text of one reply.
  let sent = Promise.resolve();
  const send = (chunk: JsonObject): void => {
    sent = sent.then(() => call.onChunk(JSON.stringify(chunk)) ?? undefined);
    // Who awaits `sent` below gets the error; until then it is nobody's.
    sent.catch(() => undefined);
  };
  const sendChoices = (choices: readonly JsonObject[]): void => choices.forEach((choice) => send(toChunk([choice])));
  let isOpen = false;
  const open = (): void => {
    if (isOpen) return;
    isOpen = true;
    call.onFirstByte?.();
    sendChoices(form.opening);
  };
  const onDelta = (text: string): void => {
    open();
    sendChoices([form.text(text)]);
  };
  const reply = await chat(chatRequest, { ...call, onDelta: request.isStream ? onDelta : () => undefined });
  const outcome = { model: reply.model, finishReason: toWireReason(reply), usage: reply.usage };
  if (!request.isStream) {
    call.onFirstByte?.();
    return { ...outcome, document: JSON.stringify({ ...envelope, model: reply.model, object: form.object, choices: [form.whole(reply)], usage: toWireUsage(reply.usage) }) };
  }
  open();
  sendChoices(form.ending(reply));
  if (request.wantsUsage) send({ ...toChunk([]), usage: toWireUsage(reply.usage) });
  await sent;
  return { ...outcome, document: null };
}

/** What differs between chats and completions. */
interface Form {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly opening: readonly JsonObject[];
  readonly text: (text: string) => JsonObject;
  readonly ending: (reply: ChatTryReply) => readonly JsonObject[];
  readonly whole: (reply: ChatTryReply) => JsonObject;
}

const CHAT: Form = {
  idPrefix: 'chatcmpl',
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  opening: [deltaOf({ role: 'assistant', content: '', refusal: null })],
  text: (content) => deltaOf({ content }),
  ending: (reply) => [
    ...reply.toolCalls.flatMap((each, index) => [
      deltaOf({ tool_calls: [{ index, id: each.id, type: 'function', function: { name: each.name, arguments: '' } }] }),
      deltaOf({ tool_calls: [{ index, function: { arguments: each.argumentsText } }] }),
    ]),
    deltaOf({}, toWireReason(reply)),
  ],
  whole: (reply) => {
    const calls = reply.toolCalls.map(({ id, name, argumentsText }) => ({ id, type: 'function', function: { name, arguments: argumentsText } }));
    const content = reply.content === '' && calls.length > 0 ? null : reply.content;
    const message = { role: 'assistant', content, refusal: null, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
    return { index: 0, message, logprobs: null, finish_reason: toWireReason(reply) };
  },
};

const TEXT: Form = {
  idPrefix: 'cmpl',
  object: 'text_completion',
  chunkObject: 'text_completion',
  opening: [],
  text: (text) => textOf(text),
  ending: (reply) => [textOf('', toWireReason(reply))],
  whole: (reply) => textOf(reply.content, toWireReason(reply)),
};

const FORMS: Readonly<Record<string, Form>> = { chat: CHAT, completions: TEXT };

function deltaOf(delta: JsonObject, finishReason: string | null = null): JsonObject {
  return { index: 0, delta, logprobs: null, finish_reason: finishReason };
}

function textOf(text: string, finishReason: string | null = null): JsonObject {
  return { index: 0, text, logprobs: null, finish_reason: finishReason };
}

function toWireReason({ finishReason }: ChatTryReply): string {
  return finishReason === 'other' ? 'stop' : finishReason;
}
