/** So many at once; whoever comes then waits for a turn, in the order of arrival. */
export interface Turns {
  /** null: at once. Rejects with `refusal` where too many wait, or it has waited too long. */
  readonly take: () => Promise<void> | null;
  /** Hands the turn over to whoever waits first. */
  readonly give: () => void;
}

export interface TurnsOptions {
  readonly atOnce: number;
  readonly waitingMax: number;
  readonly waitMs: number;
  readonly refusal: () => Error;
}

export function createTurns({ atOnce, waitingMax, waitMs, refusal }: TurnsOptions): Turns {
  const line = new Set<() => void>();
  let taken = 0;
  return {
    take: () => {
      if (taken < atOnce) {
        taken += 1;
        return null;
      }
      if (line.size >= waitingMax) return Promise.reject(refusal());
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          clearTimeout(timer);
          line.delete(enter);
        };
        const enter = (): void => {
          leave();
          resolve();
        };
        const timer = setTimeout(() => {
          leave();
          reject(refusal());
        }, waitMs).unref();
        line.add(enter);
      });
    },
    give: () => {
      const [next] = line;
      if (next === undefined) taken -= 1;
      else next();
    },
  };
}
