/** Work behind the client's back: its last bytes go first. Bounded, for answers may come faster than a store takes them. */
export interface AfterAnswer {
  /** false: too much waits already. */
  readonly run: (work: () => Promise<void> | void) => boolean;
  readonly settled: () => Promise<void>;
}

const PENDING_MAX = 256;

export function createAfterAnswer(): AfterAnswer {
  const pending = new Set<Promise<void>>();
  return {
    run: (work) => {
      if (pending.size >= PENDING_MAX) return false;
      const done: Promise<void> = new Promise((resolve) => setImmediate(resolve)).then(work).finally(() => pending.delete(done));
      // Levels never reject; an observer that throws is its own fault, not the process's end.
      done.catch(() => undefined);
      pending.add(done);
      return true;
    },
    settled: async () => {
      await Promise.allSettled(pending);
    },
  };
}
