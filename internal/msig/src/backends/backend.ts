import type { Access } from '../access.ts';
import type { ModelRequest } from '../request/model-request.ts';

/** What the gateway needs of anything that answers requests. */
export interface Backend {
  /**
   * One try, at one server. Aborting `call.signal` ends it at once; its reason is the PlatformError
   * to throw. Errors: `model_unavailable`, `model_rejected`, `model_invalid_output`, `invalid_input`
   * for what the backend cannot do, or the signal's reason.
   */
  readonly ask: (request: ModelRequest, call: BackendCall) => Promise<RequestReply>;
  /** Gives back connections; requests in flight fail. */
  readonly close: () => Promise<void>;
}

export interface BackendCall {
  readonly signal: AbortSignal;
  /** Base URL of the server to ask; empty for a backend without one. */
  readonly endpoint: string;
  readonly access: Access;
  /** Most tokens of each choice; null: as the client asks. */
  readonly maxTokens: number | null;
  /**
   * JSON of one chunk of a stream, on one line. A promise is waited for before more is read.
   * Nothing of it is taken back: once it was called, the request is not tried again.
   */
  readonly onChunk: (json: string) => Promise<void> | null;
  /** The server's answer has begun. */
  readonly onFirstByte?: () => void;
  /** Told once for each try that used tokens, also for tries that failed. */
  readonly onUsage: (usage: TokenCounts) => void;
}

export interface RequestReply {
  /** The model's own name for itself. */
  readonly model: string;
  /** Of the first choice, in the words of the API; `stop` for what has none. */
  readonly finishReason: string;
  readonly usage: TokenCounts;
  /** JSON of the whole answer; null after a stream. */
  readonly document: string | null;
  /** false: no cache may keep it, for it came from a fallback. */
  readonly keep?: false;
}

/** Token counts without a price: what they cost is the gateway's business. */
export interface TokenCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt: read from the server's own cache. */
  readonly cachedTokens?: number;
  /** Of the completion: thoughts that are not part of the answer. */
  readonly reasoningTokens?: number;
  readonly estimated?: true;
}
