import { toPlatformError } from '@openeaap/kernel';
import type { GiveItem, SharedCounters } from './shared-counters.ts';

export interface GiveQueue {
  readonly add: (tenantId: string, item: GiveItem) => void;
  /** Gives what waits, once more where it could not be sent. */
  readonly close: () => Promise<void>;
}

/** Counters of which something waits while the store is busy or away; more is told as an error and stays taken. */
export const GIVES_WAITING_MAX = 10_000;
/** Between two tries to send to a store that is away. */
const RESEND_MS = 500;

/**
 * Gives back in the background, one call at a time; what comes meanwhile is added up and goes with
 * the next. What was never sent waits for the store to come back. All else that fails is not
 * repeated: it may have been done, and to give back twice would let too much pass. It stays taken
 * until its window ends.
 */
export function createGiveQueue(counters: SharedCounters, onError: (error: unknown) => void): GiveQueue {
  const waiting = new Map<string, Map<string, GiveItem>>();
  let size = 0;
  let draining: Promise<void> | null = null;
  let isClosed = false;

  const put = (tenantId: string, item: GiveItem): void => {
    const items = waiting.get(tenantId) ?? new Map<string, GiveItem>();
    // What is charged belongs to the time of its writing, not to a bucket.
    const name = item.amount > 0 ? `${item.counter}@${item.bucket}` : item.counter;
    const other = items.get(name);
    if (other === undefined && size >= GIVES_WAITING_MAX) return onError(new Error(`More than ${GIVES_WAITING_MAX} corrections of limits wait for the store; this one is left out.`));
    if (other === undefined) size += 1;
    items.set(name, other === undefined ? item : { ...item, amount: other.amount + item.amount });
    waiting.set(tenantId, items);
  };

  const drain = async (): Promise<void> => {
    // After the settles of this turn of the event loop.
    await Promise.resolve();
    // What is added meanwhile comes at the end of the map, and so has its turn too.
    for (const [tenantId, items] of waiting) {
      waiting.delete(tenantId);
      size -= items.size;
      const failed = await counters.give(tenantId, [...items.values()]).then(() => null, toPlatformError);
      if (failed === null) continue;
      if (isClosed || failed.details['sent'] !== false) onError(failed);
      else {
        for (const item of items.values()) put(tenantId, item);
        await new Promise((resolve) => setTimeout(resolve, RESEND_MS).unref());
      }
    }
    draining = null;
  };

  return {
    add: (tenantId, item) => {
      put(tenantId, item);
      draining ??= drain();
    },
    close: async () => {
      isClosed = true;
      await draining;
    },
  };
}
