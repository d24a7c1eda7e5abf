import type { PlatformError } from '@openeaap/kernel';

const FIRST_MS = 250;
const MAX_MS = 8_000;

/** Before another try at the same server: its own wait, where it names one. `made`: tries so far. */
export function retryWaitMs({ details }: PlatformError, made: number, random: () => number): number {
  const asked = details['retry_after_ms'];
  if (typeof asked === 'number') return asked;
  // Half fixed, half spread, so that many requests that failed together do not come back together.
  const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** (made - 1));
  return Math.round(ceiling * (0.5 + random() / 2));
}

/** Another try at the same server may do better: it was away, a timeout has not used the time up, and it does not say that another try is of no use. */
export function mayRepeat({ code, details }: PlatformError): boolean {
  return code === 'model_unavailable' && details['reason'] !== 'timeout' && details['should_retry'] !== false;
}
