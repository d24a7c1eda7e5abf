/** What a file has opened, closed in the opposite order; one that fails does not keep the others open. */
export interface Cleanup {
  readonly add: (close: () => Promise<unknown>) => void;
  readonly run: () => Promise<void>;
}

export function createCleanup(): Cleanup {
  const closers: (() => Promise<unknown>)[] = [];
  return {
    add: (close) => void closers.push(close),
    run: async () => {
      const errors: unknown[] = [];
      for (const close of closers.splice(0).reverse()) await close().catch((error: unknown) => errors.push(error));
      if (errors.length > 0) throw new AggregateError(errors, `${errors.length} part(s) did not close`);
    },
  };
}
