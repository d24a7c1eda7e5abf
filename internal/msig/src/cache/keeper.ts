import type { AfterAnswer } from './after-answer.ts';
import type { CacheCall, CacheLevel } from './answer-cache.ts';
import { allTextsOf, saidIn } from './answer-text.ts';
import type { CacheEvent } from './cache-event.ts';
import type { KeptAnswer } from './kept-answer.ts';
import type { MemoryLevel } from './memory-level.ts';
import type { RedisLevel } from './redis-level.ts';
import type { SemanticFind, SemanticLevel } from './semantic-level.ts';

/** Puts answers into the levels: at once into the process, behind the client's back into what is shared. */
export interface Keeper {
  readonly keep: (of: { readonly call: CacheCall; readonly key: string }, kept: KeptAnswer, find: SemanticFind | null) => void;
}

export interface KeeperOptions {
  readonly l1: MemoryLevel | null;
  readonly l2: RedisLevel | null;
  readonly l3: SemanticLevel | null;
  readonly semanticTtlMs: number;
  readonly now: () => number;
  readonly mayStore: (text: string) => boolean;
  readonly after: AfterAnswer;
  readonly observe: (event: CacheEvent) => void;
}

export function createKeeper({ l1, l2, l3, semanticTtlMs, now, mayStore, after, observe }: KeeperOptions): Keeper {
  const note = (level: CacheLevel, kept: KeptAnswer, isTaken: boolean): void =>
    observe(isTaken ? { kind: 'kept', level, bytes: kept.body.length } : { kind: 'not_kept', level, reason: 'failed' });

  /** PII is masked before it is stored, or it is not stored: what cannot be looked through is not. */
  const isImpersonal = (call: CacheCall, kept: KeptAnswer): boolean => {
    try {
      return mayStore(saidIn(call.request.text)) && mayStore(allTextsOf(kept));
    } catch {
      return false;
    }
  };

  return {
    keep: ({ call, key }, kept, find) => {
      if (l1 !== null) note('l1', kept, l1.set(key, kept, now()));
      const far: readonly CacheLevel[] = [...(l2?.isUp() === true ? (['l2'] as const) : []), ...(l3 !== null && find !== null ? (['l3'] as const) : [])];
      if (far.length === 0) return;
      const refuse = (reason: 'personal' | 'busy'): void => far.forEach((level) => observe({ kind: 'not_kept', level, reason }));
      const isRunning = after.run(async () => {
        if (!isImpersonal(call, kept)) return refuse('personal');
        await Promise.all([
          l2 === null || !far.includes('l2') ? null : l2.set(key, kept, now()).then((isTaken) => note('l2', kept, isTaken)),
          l3 === null || find === null ? null : l3.keep(find, { id: key, kept: { ...kept, untilMs: Math.min(kept.untilMs, now() + semanticTtlMs) } }, now()).then((isTaken) => note('l3', kept, isTaken)),
        ]);
      });
      if (!isRunning) refuse('busy');
    },
  };
}
