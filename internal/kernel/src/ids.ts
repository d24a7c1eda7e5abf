import { randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';

/** Makes ids. An argument wherever ids are made, so that a test can fix them. */
export interface Ids {
  /** UUIDv7: sortable by time of creation. */
  readonly newId: () => string;
  /** W3C trace id: 32 lower-case hex characters. */
  readonly newTraceId: () => string;
}

export const randomIds: Ids = {
  newId: uuidv7,
  newTraceId: () => randomBytes(16).toString('hex'),
};

/** Wall clock and timers. An argument wherever time matters, so that a test can set it. */
export interface Clock {
  readonly now: () => Date;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isUuid = (text: string): boolean => UUID.test(text);
