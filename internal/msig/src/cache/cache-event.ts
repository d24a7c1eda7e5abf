import type { CacheLevel } from './answer-cache.ts';
import type { GuardReason } from './guard.ts';

/** For metrics; told while a request waits, so whoever listens must be quick, and must not throw. */
export type CacheEvent =
  /** `msig_cache_hit_ratio` of a level is hits by looks: a level is only asked what the one before it had not. */
  | { readonly kind: 'look'; readonly level: CacheLevel; readonly isHit: boolean }
  /** Equal requests under way were one. */
  | { readonly kind: 'shared' }
  /** `personal`: data of persons was found, so only L1 has it. `busy`: too many writes were waiting. `failed`: the level did not take it. */
  | { readonly kind: 'kept'; readonly level: CacheLevel; readonly bytes: number }
  | { readonly kind: 'not_kept'; readonly level: CacheLevel; readonly reason: 'too_large' | 'personal' | 'busy' | 'failed' }
  /** The vectors were near enough and the guard saw another question. */
  | { readonly kind: 'guarded'; readonly similarity: number; readonly reason: GuardReason }
  /** A semantic hit was not used: the backend was asked too. `overlap`: 0 to 1, of the words of both answers. */
  | { readonly kind: 'shadow'; readonly similarity: number; readonly isAgreed: boolean; readonly overlap: number }
  /** The way to the embeddings or to the vectors failed, or works again. */
  | { readonly kind: 'semantic'; readonly isOn: boolean };

/** Shares by similarity are counted in these buckets: the lower bound of each, as a label. */
export function similarityBucket(similarity: number): string {
  return (Math.min(1, Math.max(0, Math.floor(similarity * 50) / 50))).toFixed(2);
}
