import { RESP_TYPES } from 'redis';
import { decodeKept, encodeKept } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import type { RedisLink } from './redis-link.ts';

/** L2: shared by all nodes. Everything that goes wrong is a miss. */
export interface RedisLevel {
  readonly get: (key: string, nowMs: number) => Promise<KeptAnswer | null>;
  /** Did the server take it? */
  readonly set: (key: string, kept: KeptAnswer, nowMs: number) => Promise<boolean>;
  readonly isUp: () => boolean;
}

/** A write is not waited for by anybody, so it may take longer than a look. */
const WRITE_TIMEOUT_MS = 500;
/** Strings as bytes: an answer is not text until somebody wants it. */
const AS_BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/** `prefix`: of all its keys. */
export function createRedisLevel(link: RedisLink, { prefix, ttlMs }: { readonly prefix: string; readonly ttlMs: number }): RedisLevel {
  return {
    get: async (key, nowMs) => {
      const bytes = await link.run((client) => client.withTypeMapping(AS_BYTES).get(prefix + key));
      const kept = bytes === null ? null : decodeKept(bytes);
      return kept === null || kept.untilMs <= nowMs ? null : kept;
    },
    set: async (key, kept, nowMs) => {
      const untilMs = Math.min(kept.untilMs, nowMs + ttlMs);
      const lifeMs = Math.ceil(untilMs - nowMs);
      if (lifeMs <= 0) return false;
      const answer = await link.run((client) => client.set(prefix + key, encodeKept({ ...kept, untilMs }), { expiration: { type: 'PX', value: lifeMs } }), WRITE_TIMEOUT_MS);
      return answer !== null;
    },
    isUp: link.isUp,
  };
}
