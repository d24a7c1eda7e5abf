import type { ChatReply, ChatRequest } from '@openeaap/kernel';
import type { Completion } from '../request/parse-completion.ts';

/** What the gateway needs of anything that answers chats. */
export interface Backend {
  /**
   * One chat. Aborting `call.signal` ends it at once; its reason is the PlatformError to throw.
   * Errors: `model_unavailable`, `model_rejected`, `model_invalid_output`, or the signal's reason.
   */
  readonly chat: (request: ChatRequest, call: BackendCall) => Promise<BackendReply>;
  /** One chat completion in the words of the OpenAI API. Errors: as of `chat`, and `invalid_input` for what the backend cannot do. */
  readonly complete: (completion: Completion, call: CompletionCall) => Promise<CompletionReply>;
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

export interface CompletionCall extends Omit<BackendCall, 'onDelta'> {
  /** Most tokens of each choice; null: as the client asks. */
  readonly maxTokens: number | null;
  /**
   * JSON of one chunk of a stream, on one line. A promise is waited for before more is read.
   * Nothing of it is taken back: once it was called, the completion is not tried again.
   */
  readonly onChunk: (json: string) => Promise<void> | null;
}

export interface CompletionReply {
  readonly model: string;
  /** Of the first choice, in the words of the API. */
  readonly finishReason: string;
  readonly usage: TokenCounts;
  /** JSON of the whole answer; null after a stream. */
  readonly document: string | null;
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
