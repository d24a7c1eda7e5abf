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
  /** Whole micro-dollars, for people. */
  readonly costUsdMicros: number;
  /** Whole nano-dollars (`priceNanosOf`), so that tiny calls are not free; not set: the micro-dollars are exact. */
  readonly costUsdNanos?: number;
  readonly estimated: boolean;
}

/** Who asks, with what the virtual key itself may use: limits ride along with the right to ask. */
export interface MeteredAccess extends Access {
  readonly limits?: ModelLimits | null;
}

/** One call in the ledger, failed ones included. */
export interface LedgerEntry extends Spent {
  readonly access: Access;
  readonly kind: RequestKind;
  readonly backend: string;
  readonly model: string;
  readonly cache: CacheOutcome['state'];
  readonly cacheLevel: CacheOutcome['level'];
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly latencyMs: number;
  readonly at: Date;
}

export interface ReserveRequest {
  readonly access: MeteredAccess;
  /** The backend that is likely to answer. */
  readonly backend: string;
  /** Prompt and the most that may be written, together. */
  readonly tokens: number;
  readonly costUsdMicros: number;
  /** As of `Spent`. */
  readonly costUsdNanos?: number;
}

export interface Reservation {
  /** After the call, once: gives back what was not used, or takes what was used beyond it. Never throws. */
  readonly settle: (spent: Pick<Spent, 'promptTokens' | 'completionTokens' | 'costUsdMicros' | 'costUsdNanos'>) => void;
  /** `x-ratelimit-*` of the tightest limit; empty where none holds. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Accountant {
  /**
   * Takes from every limit and budget that holds, or from none. Errors: `quota_exceeded`
   * (`details.reason`: `rate_limited` with `retry_after_ms`, or `budget_exhausted`; `details.limit`),
   * `unavailable` when the shared counters cannot be reached: a limit that cannot be checked is not passed.
   * Without a promise where no limit holds.
   */
  readonly reserve: (request: ReserveRequest) => Reservation | Promise<Reservation>;
  /** Into the ledger, in the background. */
  readonly record: (entry: LedgerEntry) => void;
  /** Waits for what was recorded to be written. */
  readonly close: () => Promise<void>;
}
