import type { JsonObject } from '@openeaap/kernel';
import { modelOf } from '../answer/answer-relay.ts';
import { objectsOf } from '../answer/completion-form.ts';
import { createResponseWriter } from '../answer/response-writer.ts';
import { finishReasonOf } from '../answer/response-events.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { toChatOfResponse } from '../request/response-to-chat.ts';
import type { Backend, BackendCall, RequestReply } from './backend.ts';

export interface ByChatDeps {
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The same backend, for which requests for responses are made chats, and its chats responses. Other requests pass. */
export function responsesByChat(ask: Backend['ask'], deps: ByChatDeps): Backend['ask'] {
  return (request, call) => (request.kind === 'responses' ? respond(ask, deps, { request, call }) : ask(request, call));
}

async function respond(ask: Backend['ask'], { newId, now }: ByChatDeps, { request, call }: { readonly request: ModelRequest; readonly call: BackendCall }): Promise<RequestReply> {
  const writer = createResponseWriter({ body: request.body, newId, now });
  const reply = await ask(toChatOfResponse(request), {
    ...call,
    // A chat's own member for it has another name at other servers; the cap finds the right one.
    maxTokens: call.maxTokens ?? request.maxTokens,
    onChunk: (json) => {
      const chunk = JSON.parse(json) as JsonObject;
      const [choice] = objectsOf(chunk['choices']);
      return choice === undefined ? null : sendAll(writer.add(objectOf(choice['delta']), choice['finish_reason'], modelOf(chunk)), call.onChunk);
    },
  });
  if (reply.document !== null) {
    const [choice] = objectsOf((JSON.parse(reply.document) as JsonObject)['choices']);
    writer.add(objectOf(choice?.['message']), choice?.['finish_reason'], reply.model);
  }
  const { events, response } = writer.end({ model: reply.model, usage: reply.usage });
  const finishReason = finishReasonOf(response);
  if (reply.document !== null) return { ...reply, finishReason, document: JSON.stringify(response) };
  await sendAll(events, call.onChunk);
  return { ...reply, finishReason };
}

const objectOf = (value: unknown): JsonObject => (typeof value === 'object' && value !== null ? (value as JsonObject) : {});

/** In order; waits for a slow reader between two. */
function sendAll(chunks: readonly string[], onChunk: BackendCall['onChunk']): Promise<void> | null {
  for (const [at, json] of chunks.entries()) {
    const full = onChunk(json);
    if (full !== null) return full.then(() => sendAll(chunks.slice(at + 1), onChunk) ?? undefined);
  }
  return null;
}
