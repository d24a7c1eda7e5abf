/** Something that may fail: after a failure it is left alone for a while, for each try costs a request its patience. */
export interface Rest {
  readonly isResting: () => boolean;
  readonly note: (works: boolean) => void;
}

const REST_MS = 10_000;

/** `onState`: it fails, or works again. */
export function createRest(now: () => number, onState: (isOn: boolean) => void): Rest {
  let untilMs = 0;
  let isOn = true;
  return {
    isResting: () => now() < untilMs,
    note: (works) => {
      if (!works) untilMs = now() + REST_MS;
      if (works !== isOn) onState(works);
      isOn = works;
    },
  };
}
