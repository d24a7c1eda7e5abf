import type { RoutingConfig } from '../config/gateway-config.ts';

/** How many tries may be made again, so that an outage does not multiply the traffic that meets it. */
export interface RetryBudget {
  /** A request that comes for the first time. */
  readonly count: () => void;
  /** Takes one retry; false: too many for the traffic. */
  readonly take: () => boolean;
}

/** What happened is forgotten with this time constant; a burst of retries may be as large as what this long allows. */
const MEMORY_MS = 10_000;

/**
 * Of the last ten seconds or so, retries may be `percent` of the requests and `minPerSecond` more.
 * Both are sums that fade (exponentially), so there is no window whose edge lets twice as many through.
 */
export function createRetryBudget({ percent, minPerSecond }: RoutingConfig['retryBudget'], now: () => number): RetryBudget {
  let requests = 0;
  let retries = 0;
  let atMs = now();
  const fade = (): void => {
    const nowMs = now();
    if (nowMs <= atMs) return;
    const kept = Math.exp((atMs - nowMs) / MEMORY_MS);
    requests *= kept;
    retries *= kept;
    atMs = nowMs;
  };
  return {
    count: () => {
      fade();
      requests += 1;
    },
    take: () => {
      fade();
      if (retries + 1 > (requests * percent) / 100 + (minPerSecond * MEMORY_MS) / 1_000) return false;
      retries += 1;
      return true;
    },
  };
}
