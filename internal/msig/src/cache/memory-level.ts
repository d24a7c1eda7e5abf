import { ENTRY_OVERHEAD_BYTES } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import { createOldestFirst } from './oldest-first.ts';

/** L1: in the process, bounded by bytes; what was not asked for the longest goes first. */
export interface MemoryLevel {
  readonly get: (key: string, nowMs: number) => KeptAnswer | null;
  /** Was it taken? Not where it is larger than the whole level, or has no time to live. */
  readonly set: (key: string, kept: KeptAnswer, nowMs: number) => boolean;
  readonly bytes: () => number;
  readonly entries: () => number;
}

interface Entry {
  readonly kept: KeptAnswer;
  readonly untilMs: number;
}

export function createMemoryLevel({ maxBytes, ttlMs }: { readonly maxBytes: number; readonly ttlMs: number }): MemoryLevel {
  const entries = createOldestFirst<Entry>({ maxEntries: Infinity, maxBytes, bytesOf: ({ kept }) => kept.body.length + ENTRY_OVERHEAD_BYTES });
  return {
    get: (key, nowMs) => {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      if (entry.untilMs > nowMs) entries.use(key);
      else entries.remove(key);
      return entry.untilMs > nowMs ? entry.kept : null;
    },
    set: (key, kept, nowMs) => {
      const untilMs = Math.min(kept.untilMs, nowMs + ttlMs);
      if (untilMs > nowMs) return entries.set(key, { kept, untilMs });
      entries.remove(key);
      return false;
    },
    bytes: entries.bytes,
    entries: entries.size,
  };
}
