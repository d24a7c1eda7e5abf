/** Where the chunks of an answer leave, in order, no faster than they are taken. */
export interface ChunkOutlet {
  readonly put: (json: string) => void;
  /** Passes on what was put; a promise where the reader has to be waited for. Nothing may be put until it has resolved. */
  readonly drain: () => Promise<void> | null;
  readonly passedOn: () => boolean;
}

export function createChunkOutlet(onChunk: (json: string) => Promise<void> | null): ChunkOutlet {
  let waiting: string[] = [];
  let passedOn = false;
  const drain = (): Promise<void> | null => {
    for (const [at, json] of waiting.entries()) {
      passedOn = true;
      const full = onChunk(json);
      if (full === null) continue;
      waiting = waiting.slice(at + 1);
      return full.then(() => drain() ?? undefined);
    }
    waiting = [];
    return null;
  };
  return {
    // An event of several lines would have to be cut into several fields; JSON never needs them.
    put: (json) => void waiting.push(/[\r\n]/.test(json) ? JSON.stringify(JSON.parse(json)) : json),
    drain: () => (waiting.length === 0 ? null : drain()),
    passedOn: () => passedOn,
  };
}
