import type { ChatRequest } from '@openeaap/kernel';
import type { ChatCall, ChatTryReply } from './chat-call.ts';
import { billed } from './billed.ts';
import { toChatCompletionsBody } from '../request/chat-completions-request.ts';
import { estimateUsage } from '../request/estimate-usage.ts';
import { REQUEST_PATHS } from '../request/model-request.ts';
import { exchange } from './exchange.ts';
import { askedModel } from './openai-upstream.ts';
import type { Upstream } from './openai-upstream.ts';
import { createReplyAssembler } from '../answer/reply-assembler.ts';
import type { AssembledReply } from '../answer/reply-assembler.ts';

export interface ChatTarget {
  /** The name that is sent; asked for under the try's own signal. */
  readonly model: (signal: AbortSignal) => Promise<string>;
  /** Ids for tool calls that the server left without one. */
  readonly newId: () => string;
}

/** One try of a chat. */
export async function chatOnce(upstream: Upstream, target: ChatTarget, { request, call }: { readonly request: ChatRequest; readonly call: ChatCall }): Promise<ChatTryReply> {
  const assembler = createReplyAssembler(upstream.context, target.newId);
  let reply: AssembledReply | null = null;
  let model = '';
  // Of a broken answer only what the server reported is known.
  const usage = () => assembler.usage() ?? (reply === null ? null : estimateUsage(request, reply));
  return billed(call, usage, async () => {
    model = await askedModel(upstream, target.model, call.signal);
    await exchange(upstream, {
      signal: call.signal,
      path: REQUEST_PATHS.chat,
      body: toChatCompletionsBody(request, { model, origin: upstream.endpoint.origin }),
      firstByteTimeoutMs: upstream.firstByteTimeoutMs,
      sink: {
        add: (chunk) => {
          const text = assembler.add(chunk);
          if (text !== '') call.onDelta(text);
        },
        isFinished: assembler.isFinished,
      },
    });
    const whole = assembler.finish();
    reply = whole;
    return { ...whole, model: whole.model === '' ? model : whole.model, usage: assembler.usage() ?? estimateUsage(request, whole) };
  });
}
