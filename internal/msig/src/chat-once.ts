import type { ChatRequest } from '@openeaap/kernel';
import type { BackendCall, BackendReply } from './backend.ts';
import { toChatCompletionsBody } from './chat-completions-request.ts';
import { estimateUsage } from './estimate-usage.ts';
import { exchange } from './openai-upstream.ts';
import type { Upstream } from './openai-upstream.ts';
import { createReplyAssembler } from './reply-assembler.ts';

export interface ChatTarget {
  /** The name that is sent; asked for under the try's own signal. */
  readonly model: (signal: AbortSignal) => Promise<string>;
  /** Ids for tool calls that the server left without one. */
  readonly newId: () => string;
}

/** One try of a chat. Usage is told once, also when the try fails or is aborted after the server reported some. */
export async function chatOnce(upstream: Upstream, target: ChatTarget, { request, call }: { readonly request: ChatRequest; readonly call: BackendCall }): Promise<BackendReply> {
  const assembler = createReplyAssembler(upstream.context, target.newId);
  const tellUsage = once(call.onUsage);
  // While the abort is being told, not after it: whoever aborts may settle the bill at once.
  const onAbort = (): void => void tellUsage(assembler.usage());
  call.signal.addEventListener('abort', onAbort, { once: true });
  let model = '';
  try {
    await exchange(upstream, {
      signal: call.signal,
      firstByteTimeoutMs: upstream.firstByteTimeoutMs,
      body: async (signal) => {
        model = await target.model(signal);
        return toChatCompletionsBody(request, { model, origin: upstream.endpoint.origin });
      },
      sink: {
        add: (chunk) => {
          const text = assembler.add(chunk);
          if (text !== '') call.onDelta(text);
        },
        isFinished: assembler.isFinished,
      },
    });
    const reply = assembler.finish();
    const usage = assembler.usage() ?? estimateUsage(request, reply);
    tellUsage(usage);
    return { ...reply, model: reply.model === '' ? model : reply.model, usage };
  } catch (thrown) {
    tellUsage(assembler.usage());
    throw thrown;
  } finally {
    call.signal.removeEventListener('abort', onAbort);
  }
}

function once(tell: BackendCall['onUsage']): (usage: Parameters<BackendCall['onUsage']>[0] | null) => void {
  let told = false;
  return (usage) => {
    if (told || usage === null) return;
    told = true;
    tell(usage);
  };
}
