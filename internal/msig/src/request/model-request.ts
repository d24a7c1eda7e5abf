import type { JsonObject } from '@openeaap/kernel';

/** What can be asked of a model server, by the endpoint of the OpenAI API (rerank: as Jina, Cohere and vLLM have it). */
export const REQUEST_KINDS = ['chat', 'completions', 'embeddings', 'rerank', 'responses'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** Below the base URL that ends in `/v1`. */
export const REQUEST_PATHS: Readonly<Record<RequestKind, string>> = {
  chat: '/chat/completions',
  completions: '/completions',
  embeddings: '/embeddings',
  rerank: '/rerank',
  responses: '/responses',
};

/**
 * A request in the words of the API. Only what the gateway itself acts on is read; everything else
 * belongs to the backend and reaches it as the client wrote it.
 */
export interface ModelRequest {
  readonly kind: RequestKind;
  /** The body as it came. */
  readonly text: string;
  readonly body: JsonObject;
  /** A backend's name, its model or a capability; empty: the default. */
  readonly model: string;
  readonly isStream: boolean;
  /** Of chat and completions: the stream ends with a chunk of usage. Responses always tell theirs. */
  readonly wantsUsage: boolean;
  /** vLLM's `continuous_usage_stats`. */
  readonly wantsUsageOnEveryChunk: boolean;
  /** Sequences that are written; of completions: for all prompts together, the unseen ones of `best_of` included. */
  readonly choices: number;
  /** Of each choice; null: as many as the backend likes. 0 where nothing is written (embeddings, rerank). */
  readonly maxTokens: number | null;
}
