import type { CounterState, Draw, LimitWindow } from './limit-window.ts';

export interface TakeItem extends Draw {
  /** Who and what, e.g. `key:018f…/tokens/minute`; one name is in one take only once. */
  readonly counter: string;
}

export interface GiveItem {
  readonly counter: string;
  readonly window: LimitWindow;
  /** That it was taken from. */
  readonly bucket: number;
  /** Whole. Above 0: given back to its bucket, unless that counts no more. Below 0: taken now, whatever the limit is. */
  readonly amount: number;
}

/** `nowMs` is the time of the store's clock, by which all nodes count. */
export type TakeResult =
  | { readonly kind: 'granted'; readonly nowMs: number; /** In the order of the items, after the take. */ readonly states: readonly CounterState[] }
  | { readonly kind: 'exceeded'; readonly nowMs: number; /** In the order of the items, as they are stored: `rollTo` brings them to now. */ readonly states: readonly CounterState[] };

/**
 * Counters that several nodes share. Amounts are whole numbers up to 2^53: requests, tokens,
 * nano-dollars. One contract, kept by Redis and by PostgreSQL; internal/store/src/testing holds its test.
 */
export interface SharedCounters {
  /** Takes from all of them or from none. Errors: `unavailable`; it may then have been taken, and stays so until its window ends. */
  readonly take: (tenantId: string, items: readonly TakeItem[]) => Promise<TakeResult>;
  /**
   * Errors: `unavailable`. It is not to be repeated then, for to give back twice would let too much
   * pass; with `details.sent` false it was not done, and is.
   */
  readonly give: (tenantId: string, items: readonly GiveItem[]) => Promise<void>;
}
