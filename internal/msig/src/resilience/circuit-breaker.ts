import type { RoutingConfig } from '../config/gateway-config.ts';
import type { Verdict } from './judge-outcome.ts';

/**
 * Whether a server may be asked. Invariants:
 * 1. `open` lets nobody in; when its time is up it is `half_open`, which lets in one probe at a time.
 * 2. Only a probe leads out of `half_open`: one that was answered closes, one that failed opens for
 *    longer, one that was ended for other reasons leaves the place to the next.
 * 3. What entered while it was closed and ends later says nothing any more.
 */
export interface CircuitBreaker {
  readonly state: () => BreakerState;
  readonly admits: () => 'yes' | 'probe' | 'no';
  /** Milliseconds until it may admit somebody; 0: now. How long a probe takes nobody knows: as long again as it has taken, at least a second. */
  readonly reopensInMs: () => number;
  /** After `admits` said so. Returns what `begin` and `note` want back. */
  readonly enter: () => BreakerTicket;
  /** The answer has begun: a probe has then shown what it was for. How the answer ends is yet to be told. */
  readonly begin: (ticket: BreakerTicket) => void;
  readonly note: (verdict: Verdict, ticket: BreakerTicket) => void;
  /** Of the latest that said something. */
  readonly recent: () => { readonly samples: number; readonly failedShare: number };
  /** Forgets the latest; an open one stays open. */
  readonly forget: () => void;
}

export type BreakerState = 'closed' | 'open' | 'half_open';

/** Counts up with every change of the state; a ticket of another count is of another time. */
export type BreakerTicket = number;

interface BreakerDeps {
  /** Milliseconds. */
  readonly now: () => number;
  /** 0 up to 1; nodes that opened together do not all probe together. */
  readonly random: () => number;
  readonly onState: (state: BreakerState) => void;
}

const PROBE_LEFT_MIN_MS = 1_000;
/** Tries that the failed share is taken of. */
export const WINDOW_TRIES = 20;
const FAILED_SHARE_MAX = 0.5;
const OPEN_MAX_MS = 60_000;
const JITTER_SHARE = 0.2;

/**
 * Opens after `failures` in a row, or when more than half of the last 20 failed; for `openMs`,
 * doubled with each failed probe up to a minute, and up to a fifth more. A refusal shows that the
 * server is alive and ends a row; it says nothing of how it does its work, so the share is without it.
 */
export function createCircuitBreaker({ failures, openMs }: RoutingConfig['breaker'], { now, random, onState }: BreakerDeps): CircuitBreaker {
  let state: BreakerState = 'closed';
  let epoch = 0;
  let reopensAtMs = 0;
  let opens = 0;
  let probeSinceMs: number | null = null;
  const tries = createTryRecord();

  const change = (next: BreakerState): void => {
    state = next;
    epoch += 1;
    probeSinceMs = null;
    onState(next);
  };
  const open = (): void => {
    const forMs = Math.min(OPEN_MAX_MS, openMs * 2 ** Math.min(opens, 16)) * (1 + JITTER_SHARE * random());
    opens += 1;
    reopensAtMs = now() + forMs;
    change('open');
  };
  const close = (): void => {
    opens = 0;
    tries.forget();
    change('closed');
  };
  const current = (): BreakerState => {
    if (state === 'open' && now() >= reopensAtMs) change('half_open');
    return state;
  };

  return {
    state: current,
    admits: () => {
      const at = current();
      if (at === 'closed') return 'yes';
      return at === 'half_open' && probeSinceMs === null ? 'probe' : 'no';
    },
    reopensInMs: () => {
      if (current() === 'open') return reopensAtMs - now();
      return probeSinceMs === null ? 0 : Math.max(PROBE_LEFT_MIN_MS, now() - probeSinceMs);
    },
    enter: () => {
      if (current() === 'half_open') probeSinceMs = now();
      return epoch;
    },
    begin: (ticket) => {
      if (ticket === epoch && state === 'half_open') close();
    },
    note: (verdict, ticket) => {
      if (ticket !== epoch) return;
      if (state === 'half_open') {
        if (verdict === 'nothing') probeSinceMs = null;
        else if (verdict === 'failed') open();
        else close();
        return;
      }
      if (state === 'open' || verdict === 'nothing') return;
      if (verdict === 'alive') return tries.endRow();
      tries.add(verdict === 'failed');
      if (verdict === 'failed' && (tries.failedInRow() >= failures || tries.isMostlyFailed())) open();
    },
    recent: tries.recent,
    forget: tries.forget,
  };
}

interface TryRecord extends Pick<CircuitBreaker, 'recent' | 'forget'> {
  readonly add: (isFailed: boolean) => void;
  readonly endRow: () => void;
  readonly failedInRow: () => number;
  readonly isMostlyFailed: () => boolean;
}

function createTryRecord(): TryRecord {
  let failedInRow = 0;
  /** One bit a try, the latest lowest; 1: failed. */
  let window = 0;
  let samples = 0;
  return {
    add: (isFailed) => {
      window = ((window << 1) | (isFailed ? 1 : 0)) & (2 ** WINDOW_TRIES - 1);
      samples = Math.min(samples + 1, WINDOW_TRIES);
      failedInRow = isFailed ? failedInRow + 1 : 0;
    },
    endRow: () => {
      failedInRow = 0;
    },
    failedInRow: () => failedInRow,
    isMostlyFailed: () => samples === WINDOW_TRIES && ones(window) > WINDOW_TRIES * FAILED_SHARE_MAX,
    recent: () => ({ samples, failedShare: samples === 0 ? 0 : ones(window) / samples }),
    forget: () => {
      failedInRow = 0;
      window = 0;
      samples = 0;
    },
  };
}

function ones(bits: number): number {
  let left = bits;
  let found = 0;
  for (; left !== 0; found += 1) left &= left - 1;
  return found;
}
