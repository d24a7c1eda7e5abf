/** Something that may fail: after a failure it is left alone for a while, for each try costs a request its patience. */
export interface Rest {
  readonly isResting: () => boolean;
  readonly note: (works: boolean) => void;
}

const REST_MS = 10_000;

/** `onState`: it fails, or works again. */
export function createRest(now: () => number, onState: (isOn: boolean) => void): Rest {
  /** null: it works. */
  let restUntilMs: number | null = null;
  const isResting = (): boolean => restUntilMs !== null && now() < restUntilMs;
  return {
    isResting,
    note: (works) => {
      // What was asked before it failed may still be answered, and says nothing of what comes.
      if (works && (restUntilMs === null || isResting())) return;
      if (works || restUntilMs === null) onState(works);
      restUntilMs = works ? null : now() + REST_MS;
    },
  };
}
