/** What the OpenAI door needs of the platform. Errors are PlatformErrors. */
export interface OpenAiPort {
  /** What a credential opens; null: nothing, for it is unknown or its step is over. */
  readonly enter: (credential: string) => OpenAiSession | null;
}

/** One step's right to ask a model. It may end at any moment: then calls end with `unauthenticated`. */
export interface OpenAiSession {
  readonly models: () => readonly OpenAiModel[];
  /** By whatever `model` in a request may be. Errors: `not_found`. */
  readonly findModel: (name: string) => OpenAiModel;
  /**
   * One chat completion. `body` is the text of the request, not yet known to be JSON. Errors:
   * `invalid_input` (`details.field`), `not_found` (no such model), `quota_exceeded` (this step may
   * ask no more), `model_unavailable`, `model_rejected`, `model_invalid_output`, `unauthenticated`,
   * `cancelled`.
   */
  readonly complete: (body: string, call: OpenAiCall) => Promise<OpenAiAnswer>;
}

export interface OpenAiCall {
  /** The client has left. */
  readonly signal: AbortSignal;
  /** W3C trace context as the client sent it; null: none. */
  readonly traceparent: string | null;
  /** JSON of one chunk, on one line; a promise is waited for before the next. Only called when the body asks for a stream. */
  readonly onChunk: (json: string) => Promise<void> | null;
}

export interface OpenAiAnswer {
  /** JSON of the whole answer; null: it went out in chunks. */
  readonly document: string | null;
}

export interface OpenAiModel {
  readonly name: string;
  /** Kind of the backend, shown as its owner. */
  readonly type: string;
}
