import { PlatformError } from '@openeaap/kernel';
import { createAnswerRelay } from '../answer/answer-relay.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { toUpstreamBody } from '../request/upstream-body.ts';
import type { Members } from '../request/upstream-body.ts';
import type { BackendCall, RequestReply } from './backend.ts';
import { billed } from './billed.ts';
import { exchange } from './exchange.ts';
import { askedModel } from './openai-upstream.ts';
import type { Upstream } from './openai-upstream.ts';
import { invalidOutput } from './upstream-error.ts';

export interface CompletionTarget {
  /** The name that is sent; a promise where the server has to be asked for it. */
  readonly model: (signal: AbortSignal) => string | Promise<string>;
  /** Ids for tool calls that the server left without one. */
  readonly newId: () => string;
  /** Further top-level members of the body, as JSON; null takes one out. */
  readonly members?: Members;
}

/** What one server needs to know of a call. */
export type ServerCall = Omit<BackendCall, 'endpoint' | 'access'>;

/** One try of a request: the client's own body goes out, and the server's own words come back. */
export function completeOnce(upstream: Upstream, target: CompletionTarget, { completion, call }: { readonly completion: ModelRequest; readonly call: ServerCall }): Promise<RequestReply> {
  const { context, endpoint } = upstream;
  const relay = createAnswerRelay(completion, { context, newId: target.newId, onChunk: call.onChunk });
  return billed(call, relay.usage, async () => {
    const model = await askedModel(upstream, target.model, call.signal);
    try {
      await exchange(upstream, {
        signal: call.signal,
        kind: completion.kind,
        body: toUpstreamBody(completion, { model, origin: endpoint.origin, maxTokens: call.maxTokens, ...(target.members === undefined ? {} : { members: target.members }) }),
        firstByteTimeoutMs: completion.isStream ? upstream.firstByteTimeoutMs : null,
        sink: relay,
        onFirstByte: call.onFirstByte,
      });
    } catch (thrown) {
      throw tellingTheClient(thrown);
    }
    const answer = await relay.finish();
    const usage = relay.usage();
    if (usage === null) throw invalidOutput(context, 'gave an empty answer.');
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
