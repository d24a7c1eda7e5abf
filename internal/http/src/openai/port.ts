import type { Sensitivity } from '@openeaap/kernel';

/** What the OpenAI door needs of the platform. Errors are PlatformErrors. */
export interface OpenAiPort {
  /** What a credential opens; null: nothing, for it is unknown, revoked or over. */
  readonly enter: (credential: string) => OpenAiSession | null | Promise<OpenAiSession | null>;
}

/** Somebody's right to ask a model. It may end at any moment: then calls end with `unauthenticated`. */
export interface OpenAiSession {
  readonly models: () => readonly OpenAiModel[];
  /** By whatever `model` in a request may be. Errors: `not_found`. */
  readonly findModel: (name: string) => OpenAiModel;
  /**
   * One request. `body` is its text, not yet known to be JSON. Errors: `invalid_input`
   * (`details.field`), `not_found` (no such model), `permission_denied`, `policy_denied`,
   * `quota_exceeded` (`details.reason`: `rate_limited` with `retry_after_ms`; else waiting does not
   * help), `model_unavailable`, `model_rejected`, `model_invalid_output`, `unauthenticated`, `cancelled`.
   */
  readonly ask: (kind: OpenAiKind, body: string, call: OpenAiCall) => Promise<OpenAiAnswer>;
}

/** The endpoints, by what they answer. */
export const OPENAI_PATHS = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completions',
  '/v1/embeddings': 'embeddings',
  '/v1/rerank': 'rerank',
  '/v1/responses': 'responses',
} as const;

export type OpenAiKind = (typeof OPENAI_PATHS)[keyof typeof OPENAI_PATHS];

export interface OpenAiCall {
  /** The client has left. */
  readonly signal: AbortSignal;
  /** W3C trace context as the client sent it; null: none. */
  readonly traceparent: string | null;
  readonly cacheControl: OpenAiCacheControl;
  /** How secret the client says that its words are; null: it does not say. It can only raise what is known otherwise. */
  readonly sensitivity: Sensitivity | null;
  /** Whom to book the call on, where the credential leaves it open; null: nobody. */
  readonly agent: string | null;
  /**
   * JSON of one chunk, on one line; a promise is waited for before the next. Only called when the
   * body asks for a stream. Of responses it begins with its `type`.
   */
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Told once, before the first chunk and before the answer: it goes into the headers. */
  readonly onRouted: (facts: OpenAiRouted) => void;
}

/** What the client says about caches. */
export interface OpenAiCacheControl {
  readonly read: boolean;
  readonly write: boolean;
  /** Oldest that is welcome; null: any. */
  readonly maxAgeMs: number | null;
  /** How long the answer may be kept; null: as configured. */
  readonly ttlMs: number | null;
  /** Answers to questions that mean the same: true also where they are off by default, false not at all; null: as configured. */
  readonly semantic: boolean | null;
}

export interface OpenAiRouted {
  readonly backend: string;
  readonly cache: {
    readonly state: string;
    /** Of a hit. */
    readonly level: string | null;
    readonly ageMs: number | null;
    /** Of a semantic hit. */
    readonly similarity: number | null;
  };
  /** Further headers, such as `x-ratelimit-*`. */
  readonly headers: Readonly<Record<string, string>>;
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
