/** What several configurations use, one after the other and for a while at once: the last to let go closes it. */
export interface Shared<T> {
  readonly value: T;
  readonly hold: () => void;
  /** Once for each `hold`. */
  readonly release: () => Promise<void>;
}

/** Held by nobody yet. */
export function createShared<T extends { readonly close: () => void | Promise<void> }>(value: T): Shared<T> {
  let holders = 0;
  return {
    value,
    hold: () => {
      holders += 1;
    },
    release: async () => {
      holders -= 1;
      if (holders === 0) await value.close();
    },
  };
}
