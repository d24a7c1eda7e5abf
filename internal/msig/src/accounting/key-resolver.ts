import type { ModelKey } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { hashModelKey, isModelKey } from './model-key-secret.ts';
import { createTurns } from './turns.ts';

/** Whose virtual key a credential is, without asking the store for each request. */
export interface KeyResolver {
  /**
   * null: it opens nothing: unknown, revoked or over. A key that was looked up within `ttlMs` comes
   * without a promise. Rejects with `unavailable`: the store is away, or too many unknown keys are tried.
   */
  readonly resolve: (credential: string) => ModelKey | null | Promise<ModelKey | null>;
  /** The key was changed or revoked by this node: it is looked up again. */
  readonly forget: (keyId: string) => void;
}

export interface KeyResolverDeps {
  /** By the SHA-256 of the key; null: there is none, or it opens nothing any more. */
  readonly find: (hash: string) => Promise<ModelKey | null>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a revoked key may still work on other nodes; 0: always look. */
  readonly ttlMs?: number;
  /** Keys, and as many wrong ones, that are remembered. */
  readonly max?: number;
  /** Lookups of keys that are not known yet, at once: who tries keys must not keep those with one from the store. More wait. */
  readonly lookupsMax?: number;
  readonly waitingMax?: number;
  readonly waitMs?: number;
}

const TTL_MS = 5_000;
const REMEMBERED_MAX = 10_000;
const LOOKUPS_MAX = 32;
/** A node that has just started knows no key, and all its clients come at once. */
const WAITING_MAX = 1_000;
const WAIT_MS = 2_000;
const RETRY_AFTER_MS = 1_000;

interface Known {
  readonly key: ModelKey;
  readonly readMs: number;
}

/** A key that cannot be looked up again in time opens nothing: a revoked one must not live as long as an outage. */
export function createKeyResolver({ find, now, ttlMs = TTL_MS, max = REMEMBERED_MAX, lookupsMax = LOOKUPS_MAX, waitingMax = WAITING_MAX, waitMs = WAIT_MS }: KeyResolverDeps): KeyResolver {
  const known = new Map<string, Known>();
  const wrong = new Map<string, number>();
  const lookups = new Map<string, Promise<ModelKey | null>>();
  /** What is being looked up while a key is forgotten may be as it was before. */
  let forgotten = 0;
  const strangers = createTurns({ atOnce: lookupsMax, waitingMax, waitMs, refusal: tooManyLookups });

  const lookUp = async (hash: string): Promise<ModelKey | null> => {
    const isStranger = !known.has(hash);
    const turn = isStranger ? strangers.take() : null;
    if (turn !== null) await turn;
    try {
      const before = forgotten;
      const readMs = now();
      const key = await find(hash);
      if (before !== forgotten) return key;
      if (key === null) {
        known.delete(hash);
        remember(wrong, hash, readMs, max);
      } else remember(known, hash, { key, readMs }, max);
      return key;
    } finally {
      if (isStranger) strangers.give();
    }
  };

  return {
    resolve: (credential) => {
      if (!isModelKey(credential)) return null;
      const hash = hashModelKey(credential);
      const nowMs = now();
      const found = known.get(hash);
      if (found !== undefined && nowMs - found.readMs < ttlMs) return isOver(found.key, nowMs) ? null : found.key;
      const wrongSince = wrong.get(hash);
      if (wrongSince !== undefined && nowMs - wrongSince < ttlMs) return null;
      const running = lookups.get(hash);
      if (running !== undefined) return running;
      const lookup = lookUp(hash).finally(() => {
        if (lookups.get(hash) === lookup) lookups.delete(hash);
      });
      lookups.set(hash, lookup);
      return lookup;
    },
    forget: (keyId) => {
      forgotten += 1;
      // Who asks from now on must not share a look that began before.
      lookups.clear();
      for (const [hash, { key }] of known) if (key.id === keyId) known.delete(hash);
    },
  };
}

const tooManyLookups = (): PlatformError =>
  new PlatformError('unavailable', 'Too many keys are being looked up at the moment.', { details: { reason: 'key_lookups', retry_after_ms: RETRY_AFTER_MS } });

const isOver = ({ expiresAt }: ModelKey, nowMs: number): boolean => expiresAt !== null && expiresAt.getTime() <= nowMs;

/** The oldest make room. */
function remember<T>(map: Map<string, T>, hash: string, value: T, max: number): void {
  map.delete(hash);
  map.set(hash, value);
  for (const oldest of map.keys()) {
    if (map.size <= max) break;
    map.delete(oldest);
  }
}
