/** What a vLLM server says about itself at `/metrics`. */
export interface VllmLoad {
  readonly running: number;
  readonly waiting: number;
  /** 0 to 1. */
  readonly kvCacheUsage: number;
  readonly atMs: number;
}

/** The latest of each server; null: never read, or too old to be believed. */
export type ReadLoad = (endpoint: string) => VllmLoad | null;
