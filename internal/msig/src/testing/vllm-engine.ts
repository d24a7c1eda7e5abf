import { createHash } from 'node:crypto';

/** The scheduler and the prefix cache of the double of vLLM, without its HTTP. */
export interface VllmEngine {
  /** Waits for one of the `maxSeqs` places: lower priority first, then first come. Rejects with the signal's reason. */
  readonly enter: (priority: number, signal: AbortSignal) => Promise<void>;
  readonly leave: () => void;
  /** Tokens of the prompt that the cache has; the prompt's own blocks are in it from then on. */
  readonly prefill: (prompt: CachedPrompt) => number;
  readonly running: () => number;
  readonly waiting: () => number;
  readonly prefixQueries: () => number;
  readonly prefixHits: () => number;
}

export interface CachedPrompt {
  readonly tokens: readonly string[];
  /** Prompts of other salts share nothing; null: with all that have none. */
  readonly salt: string | null;
  /** Empty: the model itself. */
  readonly adapter: string;
}

interface Waiter {
  readonly priority: number;
  readonly admit: () => void;
}

/** Blocks of all prompts; the oldest go. */
const BLOCKS_MAX = 100_000;

export function createVllmEngine({ maxSeqs, blockTokens }: { readonly maxSeqs: number; readonly blockTokens: number }): VllmEngine {
  const blocks = new Set<string>();
  const waiters: Waiter[] = [];
  let running = 0;
  let prefixQueries = 0;
  let prefixHits = 0;
  const admitNext = (): void => {
    while (running < maxSeqs) {
      const next = waiters.reduce<Waiter | undefined>((best, each) => (best === undefined || each.priority < best.priority ? each : best), undefined);
      if (next === undefined) return;
      waiters.splice(waiters.indexOf(next), 1);
      running += 1;
      next.admit();
    }
  };
  return {
    enter: (priority, signal) =>
      new Promise((resolve, reject) => {
        const waiter = { priority, admit: () => settle(resolve) };
        const onAbort = (): void => {
          waiters.splice(waiters.indexOf(waiter), 1);
          settle(() => reject(signal.reason as Error));
        };
        const settle = (then: () => void): void => {
          signal.removeEventListener('abort', onAbort);
          then();
        };
        waiters.push(waiter);
        if (signal.aborted) return onAbort();
        signal.addEventListener('abort', onAbort, { once: true });
        admitNext();
      }),
    leave: () => {
      running -= 1;
      admitNext();
    },
    prefill: (prompt) => {
      const hashes = hashBlocks(prompt, blockTokens);
      const missing = hashes.findIndex((hash) => !blocks.has(hash));
      const known = missing === -1 ? hashes.length : missing;
      // The last token is always computed, for its logits are the answer's beginning.
      const cached = Math.min(known, Math.floor((prompt.tokens.length - 1) / blockTokens)) * blockTokens;
      prefixQueries += prompt.tokens.length;
      prefixHits += cached;
      for (const hash of hashes) {
        blocks.delete(hash);
        blocks.add(hash);
      }
      for (const oldest of blocks) {
        if (blocks.size <= BLOCKS_MAX) break;
        blocks.delete(oldest);
      }
      return cached;
    },
    running: () => running,
    waiting: () => waiters.length,
    prefixQueries: () => prefixQueries,
    prefixHits: () => prefixHits,
  };
}

/** Only whole blocks; each hash holds its parent's, the first also the salt and the adapter. */
function hashBlocks({ tokens, salt, adapter }: CachedPrompt, blockTokens: number): readonly string[] {
  const hashes: string[] = [];
  let parent = JSON.stringify([salt, adapter]);
  for (let at = 0; at + blockTokens <= tokens.length; at += blockTokens) {
    parent = createHash('sha256').update(JSON.stringify([parent, tokens.slice(at, at + blockTokens)])).digest('base64url');
    hashes.push(parent);
  }
  return hashes;
}
