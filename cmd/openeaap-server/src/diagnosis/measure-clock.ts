import type { Clock } from '@openeaap/kernel';
import type { Queryable } from '@openeaap/store';
import { readDatabaseClock } from '@openeaap/store';

const TRIES = 3;

export interface MeasuredClock {
  /** By how much this machine's clock is ahead of the database's, give or take half of the round trip. */
  readonly aheadMs: number;
  readonly roundTripMs: number;
}

/** As NTP does it: the database's time belongs to the middle of the round trip; the shortest one counts. */
export async function measureClock(db: Queryable, clock: Clock): Promise<MeasuredClock> {
  let best: MeasuredClock = { aheadMs: 0, roundTripMs: Number.POSITIVE_INFINITY };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const begun = performance.now();
    const before = clock.now().getTime();
    const database = await readDatabaseClock(db);
    const roundTripMs = performance.now() - begun;
    if (roundTripMs < best.roundTripMs) best = { aheadMs: before + roundTripMs / 2 - database, roundTripMs };
  }
  return best;
}
