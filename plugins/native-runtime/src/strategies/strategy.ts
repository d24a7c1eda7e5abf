import type { ChatReply, ChatRequest, JsonValue, Proposal } from '@openeaap/kernel';
import type { ThinkRequest } from '@openeaap/adapter';

/**
 * A way of reasoning: two pure functions around one model call. All it knows is the journal in the
 * request, and all it remembers is the `strategyState` that it returned with an earlier think.
 */
export interface Strategy {
  /** What to ask the model now. */
  readonly ask: (request: ThinkRequest) => ChatRequest;
  /** What the answer means. Throws PlatformError `model_invalid_output` when it means nothing; the model is told at the next think. */
  readonly read: (request: ThinkRequest, reply: ChatReply) => Reading;
}

export interface Reading {
  readonly proposal: Proposal;
  readonly strategyState: JsonValue;
}
