import type { Access } from '../access.ts';
import type { RequestReply } from '../backends/backend.ts';
import type { ModelRequest } from '../request/model-request.ts';

export type CacheLevel = 'l1' | 'l2' | 'l3';

/** What the client says about caches, from its headers. */
export interface CacheControl {
  /** May an answer be taken from a cache? (`no-cache`: no) */
  readonly read: boolean;
  /** May the answer be kept? (`no-store`: no) */
  readonly write: boolean;
  /** Oldest that is welcome; null: any. */
  readonly maxAgeMs: number | null;
  /** How long the answer may be kept; null: as configured. */
  readonly ttlMs: number | null;
  /** The client asks for the semantic level where it is off by default (several turns, tools); false: not even where it is on; null: as configured. */
  readonly semantic: boolean | null;
}

export const DEFAULT_CACHE_CONTROL: CacheControl = { read: true, write: true, maxAgeMs: null, ttlMs: null, semantic: null };

/** What became of it, for response headers, metrics and the ledger. */
export interface CacheOutcome {
  /**
   * `hit`: from `level`. `shared`: the answer of an equal request that was under way. `miss`: a
   * backend was asked. `bypass`: the client or the request did not allow it. `off`: no level is on.
   */
  readonly state: 'hit' | 'shared' | 'miss' | 'bypass' | 'off';
  readonly level: CacheLevel | null;
  readonly ageMs: number | null;
  /** Cosine, of a semantic hit. */
  readonly similarity: number | null;
}

export interface CacheCall {
  readonly request: ModelRequest;
  readonly access: Access;
  readonly control: CacheControl;
  /** Names what would answer: a hit must never come from another model than a miss would. */
  readonly identity: string;
  readonly signal: AbortSignal;
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Told once, before the first chunk and before `through` returns: response headers go out with the first byte. */
  readonly onOutcome?: (outcome: CacheOutcome) => void;
}

/** How the answer is made where no cache has it. Aborted only when nobody waits for it any more. */
export type Produce = (sink: { readonly signal: AbortSignal; readonly onChunk: CacheCall['onChunk'] }) => Promise<RequestReply>;

export interface AnswerCache {
  /**
   * The answer from the first level that has it, from an equal request under way, or from `produce`.
   * A hit streams as it came: chunk by chunk. Nothing is kept of an answer that broke, was cut
   * (`length`, `content_filter`) or was an error. A level that fails is as good as empty.
   */
  readonly through: (call: CacheCall, produce: Produce) => Promise<{ readonly reply: RequestReply; readonly cache: CacheOutcome }>;
  readonly close: () => Promise<void>;
}
