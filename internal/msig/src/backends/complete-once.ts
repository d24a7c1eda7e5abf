import { PlatformError } from '@openeaap/kernel';
import type { BackendCall, RequestReply } from './backend.ts';
import { billed } from './billed.ts';
import type { ChatTarget } from './chat-once.ts';
import { toCompletionBody } from '../request/completion-body.ts';
import { createCompletionRelay } from '../answer/completion-relay.ts';
import { exchange } from './openai-upstream.ts';
import type { Upstream } from './openai-upstream.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { invalidOutput } from './upstream-error.ts';

/** One try of a completion: the client's own body goes out, and the server's own words come back. */
export async function completeOnce(upstream: Upstream, target: ChatTarget, { completion, call }: { readonly completion: ModelRequest; readonly call: BackendCall }): Promise<RequestReply> {
  const relay = createCompletionRelay(completion, { context: upstream.context, newId: target.newId, onChunk: call.onChunk });
  let model = '';
  return billed(call, relay.usage, async () => {
    await exchange(upstream, {
      signal: call.signal,
      firstByteTimeoutMs: completion.isStream ? upstream.firstByteTimeoutMs : null,
      body: async (signal) => {
        model = await target.model(signal);
        return toCompletionBody(completion, { model, origin: upstream.endpoint.origin, maxTokens: call.maxTokens });
      },
      sink: relay,
    }).catch((thrown: unknown) => {
      throw tellingTheClient(thrown);
    });
    const answer = await relay.finish();
    const usage = relay.usage();
    if (usage === null) throw invalidOutput(upstream.context, 'gave an empty answer.');
    return { ...answer, model: answer.model === '' ? model : answer.model, usage };
  });
}

/** Statuses that are about what the client itself wrote, which the server's words explain best. */
const CLIENT_STATUSES: readonly unknown[] = [400, 413, 422];

/** The server's own message goes to whoever wrote the request; the key was taken out of it before. */
function tellingTheClient(thrown: unknown): unknown {
  if (!(thrown instanceof PlatformError) || thrown.code !== 'model_rejected' || !CLIENT_STATUSES.includes(thrown.details['status'])) return thrown;
  if (!(thrown.cause instanceof Error) || thrown.cause.message === '') return thrown;
  return new PlatformError('model_rejected', thrown.message, { details: { ...thrown.details, upstream_message: thrown.cause.message }, cause: thrown.cause });
}
