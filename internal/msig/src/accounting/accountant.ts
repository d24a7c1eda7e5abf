import type { ModelLimits } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { CacheOutcome } from '../cache/answer-cache.ts';
import type { RequestKind } from '../request/model-request.ts';

/** What one call used; `TokenCounts` with its price. */
export interface Spent {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
  /** Whole nano-dollars (`priceNanosOf`), so that tiny calls are not free. */
  readonly costUsdNanos: number;
  readonly estimated: boolean;
}

/** Who asks, with what the virtual key itself may use: limits ride along with the right to ask. */
export interface MeteredAccess extends Access {
  /** Of the virtual key; limits may be configured by it. */
  readonly keyName?: string;
  readonly limits?: ModelLimits | null;
}

/** What limits and budgets are drawn from. */
export type Drawn = Pick<Spent, 'promptTokens' | 'completionTokens' | 'costUsdNanos'>;

/** One call in the ledger, failed ones included. */
export interface LedgerEntry extends Spent {
  /** 0: more of a call that stands there already: its tokens, its money and its time, but no call, no failure and no estimate. */
  readonly calls: 0 | 1;
  readonly access: Access;
  readonly kind: RequestKind;
  readonly backend: string;
  readonly model: string;
  readonly cache: CacheOutcome['state'];
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly latencyMs: number;
  readonly at: Date;
}

export interface ReserveRequest {
  readonly access: MeteredAccess;
  /** Prompt and the most that may be written, together. */
  readonly tokens: number;
  readonly costUsdNanos: number;
}

export interface Reservation {
  /** After the call, once: gives back what was not used, or takes what was used beyond it. Never throws. */
  readonly settle: (spent: Drawn) => void;
  /** Usage that is told after `settle`, as often as it is: taken on top, whatever the limits are. It is no request. Never throws. */
  readonly charge: (spent: Drawn) => void;
  /** `x-ratelimit-*` of the tightest limit; empty where none holds. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Accountant {
  /**
   * Takes from every limit and budget of the key, the user and the tenant, or from none. Errors:
   * `quota_exceeded` (`details.reason`: `rate_limited` with `retry_after_ms`, or `budget_exhausted`;
   * `details.limit`), `unavailable` when the shared counters cannot be reached: a limit that cannot
   * be checked is not passed. Without a promise where no limit holds.
   */
  readonly reserve: (request: ReserveRequest) => Reservation | Promise<Reservation>;
  /**
   * The same of the limits of one backend (`per: model`), before it is asked and by its own prices.
   * Each backend that is asked has a reservation, and is settled with what it used itself; an answer
   * from a cache has none. `details.limit` of a refusal begins with `model.`: another backend may have room.
   */
  readonly reserveBackend: (backend: string, request: ReserveRequest) => Reservation | Promise<Reservation>;
  /** Into the ledger, in the background. */
  readonly record: (entry: LedgerEntry) => void;
  /** Waits for what was recorded to be written. */
  readonly close: () => Promise<void>;
}
