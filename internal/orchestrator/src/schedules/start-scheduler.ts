import { toPlatformError } from '@openeaap/kernel';
import { fireSchedule } from './fire-schedule.ts';
import type { SchedulerDeps } from './port.ts';

/**
 * The loop that starts runs by the clock. Every node has one, and any number of them do each fire once.
 *
 * Invariants:
 *  S1 A fire's run is made before the fire is settled, under a key of its own: killed in between, the
 *     next loop finds that run (R1) and settles the fire.
 *  S2 A fire is settled by compare-and-set on the time that it was due at: of two loops one settles it.
 *  S3 What is settled has an audit row, in the same transaction; so has every run that was started.
 *  S4 A loop that finds nothing due sleeps until the earliest fire, but never longer than the backstop:
 *     what another node wrote is noticed then.
 */
export interface Scheduler {
  /** A schedule was made or changed: look now. */
  readonly wake: () => void;
  /** Ends the fire that is under way, begins no other. */
  readonly stop: () => Promise<void>;
}

export interface SchedulerOptions {
  /** Schedules that are taken at once. */
  readonly claimLimit?: number;
  /** How long a fire stays with a node that may have died at it. Far above the two statements that a fire is. */
  readonly leaseMs?: number;
  readonly backstopMs?: number;
}

/** Between two looks when a time is due but another node is at it, or a timer came early. */
const SHORTEST_WAIT_MS = 50;
/** After a look that failed: the database is away. */
const RETRY_MS = 1_000;

export function startScheduler(deps: SchedulerDeps, options: SchedulerOptions = {}): Scheduler {
  const claimLimit = options.claimLimit ?? 20;
  const leaseMs = options.leaseMs ?? 15_000;
  const backstopMs = options.backstopMs ?? 15_000;
  const stopping = new AbortController();
  let woken = new AbortController();
  const ended = loop();

  return {
    wake: () => woken.abort(),
    stop: async () => {
      stopping.abort();
      woken.abort();
      await ended;
    },
  };

  /** Never rejects. */
  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Renewed before the look, so that a change during the look is not slept through.
      woken = new AbortController();
      const waitMs = await look();
      if (waitMs > 0 && !stopping.signal.aborted) await deps.clock.sleep(waitMs, woken.signal);
    }
  }

  /** Makes what is due. @returns how long to wait before the next look. */
  async function look(): Promise<number> {
    try {
      const { now, due, lookAgainAt } = await deps.store.claimDue({ limit: claimLimit, leaseMs });
      for (const schedule of due) {
        if (stopping.signal.aborted) return 0;
        await fireSchedule(schedule, now, deps);
      }
      if (due.length > 0) return 0;
      const untilMs = lookAgainAt === null ? backstopMs : lookAgainAt.getTime() - now.getTime();
      return Math.min(backstopMs, Math.max(SHORTEST_WAIT_MS, untilMs));
    } catch (thrown) {
      deps.log.warn({ err: thrown, code: toPlatformError(thrown).code }, 'schedules could not be looked at; it will be tried again');
      return RETRY_MS;
    }
  }
}
