import type { ChatReply, ChatRequest } from '@openeaap/kernel';

/** What the gateway needs of anything that answers chats. */
export interface Backend {
  /**
   * One chat. Aborting `call.signal` ends it at once; its reason is the PlatformError to throw.
   * Errors: `model_unavailable`, `model_rejected`, `model_invalid_output`, or the signal's reason.
   */
  readonly chat: (request: ChatRequest, call: BackendCall) => Promise<BackendReply>;
  /** Gives back connections; chats in flight fail. */
  readonly close: () => Promise<void>;
}

export interface BackendCall {
  readonly signal: AbortSignal;
  /** On the gateway's clock: no wait may go beyond it. */
  readonly deadlineMs: number;
  readonly onDelta: (text: string) => void;
  /** Told once for each try that used tokens, also for tries that failed. */
  readonly onUsage: (usage: TokenCounts) => void;
}

/** Token counts without a price: what they cost is the gateway's business. */
export interface TokenCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly estimated?: true;
}

export interface BackendReply extends Omit<ChatReply, 'usage' | 'backend'> {
  readonly usage: TokenCounts;
}
