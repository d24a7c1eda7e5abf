/** What a vLLM server says about itself at `/metrics`. */
export interface VllmLoad {
  readonly running: number;
  readonly waiting: number;
  /** 0 to 1. */
  readonly kvCacheUsage: number;
  /** Share of prompt tokens that its prefix cache had, over its life; null: it does not say. */
  readonly prefixHitRatio: number | null;
  readonly loraAdapters: readonly string[];
  readonly atMs: number;
}

/** The latest of each server; null: never read, or too old to be believed. */
export type ReadLoad = (endpoint: string) => VllmLoad | null;
