/** Aborts with any of its parents, or when its time is up. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Its time was up first. */
  readonly timedOut: () => boolean;
  /** It is not needed any more: lets go of the parents and the timer. */
  readonly release: () => void;
}

/**
 * `AbortSignal.any` and `AbortSignal.timeout` without the weak references: those are what the garbage collector
 * has most work with when a step takes less than a millisecond. The price is that whoever makes one releases it.
 */
export function linkSignals(parents: readonly AbortSignal[], timeoutMs?: number): LinkedSignal {
  const controller = new AbortController();
  let timedOut = false;
  const release = (): void => {
    clearTimeout(timer);
    for (const parent of parents) parent.removeEventListener('abort', onAbort);
  };
  const onAbort = (): void => {
    release();
    controller.abort(parents.find((parent) => parent.aborted)?.reason);
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    release();
    controller.abort(new DOMException('The time was up.', 'TimeoutError'));
  }, timeoutMs);
  for (const parent of parents) parent.addEventListener('abort', onAbort);
  if (parents.some((parent) => parent.aborted)) onAbort();
  return { signal: controller.signal, timedOut: () => timedOut, release };
}

/** Rejects with what `reason` makes when the signal aborts first; whatever `work` does after that is ignored. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>, reason: () => Error): Promise<T> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(reason());
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    // The loser of the race may still fail; nobody waits for it any more.
    work.catch(() => undefined);
    aborted.catch(() => undefined);
  }
}

/** Wakes one waiter: a ring while nobody waits is remembered, and many rings are one. */
export interface Bell {
  readonly ring: () => void;
  /** Resolves at a ring, after `ms`, or when `stop` aborts; never rejects. */
  readonly wait: (ms: number, stop: AbortSignal) => Promise<void>;
}

export function createBell(): Bell {
  let isRung = false;
  let wake: (() => void) | null = null;
  return {
    ring: () => {
      isRung = true;
      wake?.();
    },
    wait: (ms, stop) =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          stop.removeEventListener('abort', done);
          wake = null;
          isRung = false;
          resolve();
        };
        const timer = setTimeout(done, ms);
        if (isRung || stop.aborted) return done();
        wake = done;
        stop.addEventListener('abort', done);
      }),
  };
}
