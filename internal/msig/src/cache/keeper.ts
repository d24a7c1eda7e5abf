import type { CacheCall, CacheLevel } from './answer-cache.ts';
import { allTextsOf, textsOf } from './answer-text.ts';
import type { CacheEvent } from './cache-event.ts';
import type { KeptAnswer } from './kept-answer.ts';
import type { MemoryLevel } from './memory-level.ts';
import type { RedisLevel } from './redis-level.ts';
import type { SemanticFind, SemanticLevel } from './semantic-level.ts';

/** Puts answers into the levels: at once into the process, behind the client's back into what is shared. */
export interface Keeper {
  readonly keep: (of: { readonly call: CacheCall; readonly key: string }, kept: KeptAnswer, find: SemanticFind | null) => void;
  readonly settled: () => Promise<void>;
}

export interface KeeperOptions {
  readonly l1: MemoryLevel | null;
  readonly l2: RedisLevel | null;
  readonly l3: SemanticLevel | null;
  readonly semanticTtlMs: number;
  readonly now: () => number;
  readonly mayStore: (text: string) => boolean;
  readonly observe: (event: CacheEvent) => void;
}

/** Answers on their way to shared levels; more are kept in the process only. */
const PENDING_MAX = 256;

export function createKeeper({ l1, l2, l3, semanticTtlMs, now, mayStore, observe }: KeeperOptions): Keeper {
  const pending = new Set<Promise<void>>();

  const note = (level: CacheLevel, kept: KeptAnswer, isTaken: boolean): void =>
    observe(isTaken ? { kind: 'kept', level, bytes: kept.body.length } : { kind: 'not_kept', level, reason: 'failed' });

  /** PII is masked before it is stored, or it is not stored: what cannot be looked through is not. */
  const isImpersonal = (call: CacheCall, kept: KeptAnswer): boolean => {
    try {
      return mayStore(textsOf(call.request.body)) && mayStore(allTextsOf(kept));
    } catch {
      return false;
    }
  };

  const keepFar = async ({ call, key }: { readonly call: CacheCall; readonly key: string }, kept: KeptAnswer, find: SemanticFind | null): Promise<void> => {
    // The client's last bytes go first.
    await new Promise((resolve) => setImmediate(resolve));
    if (!isImpersonal(call, kept)) {
      if (l2 !== null) observe({ kind: 'not_kept', level: 'l2', reason: 'personal' });
      if (find !== null) observe({ kind: 'not_kept', level: 'l3', reason: 'personal' });
      return;
    }
    await Promise.all([
      l2?.isUp() === true ? l2.set(key, kept, now()).then((isTaken) => note('l2', kept, isTaken)) : null,
      l3 === null || find === null ? null : l3.keep(find, { id: key, kept: { ...kept, untilMs: Math.min(kept.untilMs, now() + semanticTtlMs) } }, now()).then((isTaken) => note('l3', kept, isTaken)),
    ]);
  };

  return {
    keep: (of, kept, find) => {
      if (l1 !== null) {
        l1.set(of.key, kept, now());
        note('l1', kept, true);
      }
      if (l2?.isUp() !== true && find === null) return;
      if (pending.size >= PENDING_MAX) return observe({ kind: 'not_kept', level: 'l2', reason: 'busy' });
      const work: Promise<void> = keepFar(of, kept, find).finally(() => pending.delete(work));
      // Levels never reject; an observer that throws is its own fault, not the process's end.
      work.catch(() => undefined);
      pending.add(work);
    },
    settled: async () => {
      await Promise.allSettled(pending);
    },
  };
}
