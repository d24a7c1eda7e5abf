import { randomFillSync } from 'node:crypto';
import { V7Generator } from 'uuidv7';

/** Makes ids. An argument wherever ids are made, so that a test can fix them. */
export interface Ids {
  /** UUIDv7: sortable by time of creation. */
  readonly newId: () => string;
  /** W3C trace id: 32 lower-case hex characters. */
  readonly newTraceId: () => string;
}

/** Asking the system for 4 bytes at a time is what an id would cost most. */
const POOL_NUMBERS = 1_024;

export const randomIds: Ids = createRandomIds();

function createRandomIds(): Ids {
  const next = createRandomNumbers();
  const generator = new V7Generator({ nextUint32: next });
  const hex = (): string => next().toString(16).padStart(8, '0');
  return {
    newId: () => generator.generate().toString(),
    newTraceId: () => hex() + hex() + hex() + hex(),
  };
}

/** Cryptographic random numbers of 32 bits, asked of the system many at a time. */
function createRandomNumbers(): () => number {
  const pool = new Uint32Array(POOL_NUMBERS);
  let used = POOL_NUMBERS;
  return () => {
    if (used === POOL_NUMBERS) {
      randomFillSync(pool);
      used = 0;
    }
    return pool[used++] ?? 0;
  };
}

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
