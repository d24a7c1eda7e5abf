import { ENTRY_OVERHEAD_BYTES } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** L1: in the process, bounded by bytes; what was not asked for the longest goes first. */
export interface MemoryLevel {
  readonly get: (key: string, nowMs: number) => KeptAnswer | null;
  readonly set: (key: string, kept: KeptAnswer, nowMs: number) => void;
  readonly bytes: () => number;
  readonly entries: () => number;
}

export function createMemoryLevel({ maxBytes, ttlMs }: { readonly maxBytes: number; readonly ttlMs: number }): MemoryLevel {
  /** In the order of their last use. */
  const entries = new Map<string, { readonly kept: KeptAnswer; readonly untilMs: number }>();
  let bytes = 0;
  const hasRoomFor = (cost: number): boolean => bytes + cost <= maxBytes;
  /** Stays at the front: a new one would look at all the gaps of those that went before. */
  let oldest = entries.keys();
  const removeOldest = (): void => {
    let next = oldest.next();
    if (next.done === true) {
      oldest = entries.keys();
      next = oldest.next();
    }
    if (next.done !== true) remove(next.value);
  };
  const costOf = ({ body }: KeptAnswer): number => body.length + ENTRY_OVERHEAD_BYTES;
  const remove = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    bytes -= costOf(entry.kept);
  };
  return {
    get: (key, nowMs) => {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.untilMs <= nowMs) {
        remove(key);
        return null;
      }
      entries.delete(key);
      entries.set(key, entry);
      return entry.kept;
    },
    set: (key, kept, nowMs) => {
      const cost = costOf(kept);
      const untilMs = Math.min(kept.untilMs, nowMs + ttlMs);
      remove(key);
      if (cost > maxBytes || untilMs <= nowMs) return;
      while (!hasRoomFor(cost)) removeOldest();
      entries.set(key, { kept, untilMs });
      bytes += cost;
    },
    bytes: () => bytes,
    entries: () => entries.size,
  };
}
