import { toPlatformError } from '@openeaap/kernel';
import type { PlatformError } from '@openeaap/kernel';
import type { BackendConfig } from '../config/gateway-config.ts';
import { createWaitQueue } from '../resilience/wait-queue.ts';
import type { WaitQueue } from '../resilience/wait-queue.ts';
import type { Choice, Wish } from './choose-server.ts';
import type { FleetEvent, Place } from './fleet.ts';
import { closedRefusal, closingRefusal, fullRefusal, timeoutRefusal } from './refusals.ts';
import type { SetTimer } from './set-timer.ts';

/**
 * Who gets a place at the servers of one backend, and who waits for one. Invariants:
 * 1. While somebody waits, nobody who comes later and is no more urgent gets a place.
 * 2. Whoever waits ends in one of five ways (served, pushed out, out of time, gone, closed), each of
 *    which takes away the timer and the listener.
 * 3. Somebody waits only for places that are taken or a pause that ends soon: when all servers are
 *    closed, all who wait are told at once.
 * 4. While somebody waits there is a timer for the next moment at which time alone frees a server.
 */
export interface PlaceQueue {
  readonly enter: (entry: Entry) => Place | Promise<Place>;
  /** Somebody has left a place. */
  readonly release: () => void;
  /** A server may have become free in another way. */
  readonly serve: () => void;
  readonly size: () => number;
  readonly isFull: () => boolean;
  readonly close: () => void;
}

export interface Entry extends Wish {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  /** Lower is sooner. */
  readonly priority: number;
}

interface PlaceQueueDeps {
  readonly choose: (wish: Wish) => Choice | 'busy' | 'closed';
  readonly take: (choice: Choice, wish: Wish) => Place;
  /** Milliseconds until the first server may be asked again. */
  readonly closedForMs: () => number;
  /** The same for those that only asked for a pause; Infinity: none did. */
  readonly pausedForMs: () => number;
  /** Milliseconds until time alone may free a server; Infinity: it does not. */
  readonly freedInMs: () => number;
  /** What the latest failure was, in words that are safe to show. */
  readonly whyClosed: () => string;
  readonly now: () => number;
  readonly setTimer: SetTimer;
  readonly onEvent: (event: FleetEvent) => void;
}

type QueueEvent = Extract<FleetEvent, { kind: 'queue' }>;

interface Waiter extends Entry {
  readonly serve: (choice: Choice) => void;
  readonly refuse: (outcome: QueueEvent['outcome'], error: PlatformError) => void;
}

/** A pause is waited for when it is this short and the call has as much time left. */
const PAUSE_WAIT_MAX_MS = 2_000;
/** Of the newest interval in the mean. */
const INTERVAL_SHARE = 0.1;

export function createPlaceQueue({ name, maxQueue }: BackendConfig, deps: PlaceQueueDeps): PlaceQueue {
  const waiters = createWaitQueue<Waiter>();
  const interval = createIntervalMeter(deps.now);
  let cancelWake: (() => void) | null = null;
  let isOver = false;

  const serve = (): void => {
    // Nearly always nobody waits.
    if (waiters.size() === 0 && cancelWake === null) return;
    serveAll();
    wakeInTime();
  };
  /** Ends for every server's answer: at each turn somebody leaves the queue, or it stops. */
  const serveAll = (): void => {
    for (let waiter = waiters.first(); waiter !== undefined; waiter = waiters.first()) {
      const found = deps.choose(waiter);
      if (found === 'busy' || (found === 'closed' && isPauseShort(waiter))) return;
      if (found === 'closed') waiter.refuse('closed', closedError());
      else waiter.serve(found);
    }
  };
  const wakeInTime = (): void => {
    cancelWake?.();
    const ms = waiters.size() === 0 ? Number.POSITIVE_INFINITY : deps.freedInMs();
    // At least a millisecond: a timer that rings too early must not ring for ever at the same moment.
    cancelWake = ms === Number.POSITIVE_INFINITY ? null : deps.setTimer(serve, Math.max(1, ms));
  };
  const isPauseShort = ({ deadlineMs }: Entry): boolean => deps.pausedForMs() <= Math.min(PAUSE_WAIT_MAX_MS, deadlineMs - deps.now());
  const closedError = (): PlatformError => closedRefusal(name, { why: deps.whyClosed(), readyInMs: deps.closedForMs() });
  const drainMs = (): number | null => interval.drainMs(waiters.size() + 1);

  const line: Line = { name, waiters, drainMs, serve, take: deps.take, now: deps.now, setTimer: deps.setTimer, onEvent: deps.onEvent };
  const makeRoomFor = (entry: Entry): void => {
    const last = waiters.lastAfter(entry.priority);
    const full = fullRefusal(name, { maxQueue, drainMs: drainMs() });
    if (last !== undefined) return last.refuse('full', full);
    deps.onEvent({ kind: 'queue', backend: name, outcome: 'full', waitedMs: 0 });
    throw full;
  };

  return {
    enter: (entry) => {
      if (isOver) throw closingRefusal(name);
      // What time has freed meanwhile is for those who wait; then it is seen how many still do.
      serve();
      const found = deps.choose(entry);
      if (found === 'closed' && !isPauseShort(entry)) throw closedError();
      if (typeof found === 'object' && waiters.size() === 0) return deps.take(found, entry);
      if (waiters.size() >= maxQueue) makeRoomFor(entry);
      return joinLine(line, entry);
    },
    release: () => {
      if (waiters.size() > 0) interval.tick();
      else interval.rest();
      serve();
    },
    serve,
    size: waiters.size,
    isFull: () => waiters.size() > 0 && waiters.size() >= maxQueue,
    close: () => {
      isOver = true;
      cancelWake?.();
      cancelWake = null;
      for (let waiter = waiters.first(); waiter !== undefined; waiter = waiters.first()) waiter.refuse('closed', closingRefusal(name));
    },
  };
}

/** What a place in the line needs of the queue. */
interface Line extends Pick<PlaceQueueDeps, 'take' | 'now' | 'setTimer' | 'onEvent'> {
  readonly name: string;
  readonly waiters: WaitQueue<Waiter>;
  readonly drainMs: () => number | null;
  readonly serve: () => void;
}

/** However the wait ends, its timer and its listener go first. */
function joinLine(line: Line, entry: Entry): Promise<Place> {
  const { name, waiters, now, serve } = line;
  const { signal, deadlineMs, priority } = entry;
  return new Promise((resolve, reject) => {
    const sinceMs = now();
    const end = (outcome: QueueEvent['outcome']): void => {
      waiters.remove(waiter);
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      line.onEvent({ kind: 'queue', backend: name, outcome, waitedMs: now() - sinceMs });
    };
    const waiter: Waiter = {
      ...entry,
      serve: (choice) => {
        end('served');
        resolve(line.take(choice, entry));
      },
      refuse: (outcome, error) => {
        end(outcome);
        reject(error);
      },
    };
    const onAbort = (): void => {
      end('left');
      reject(toPlatformError(signal.reason, 'cancelled'));
      serve();
    };
    const onTimeUp = (): void => {
      waiter.refuse('timeout', timeoutRefusal(name, { waitedMs: now() - sinceMs, drainMs: line.drainMs() }));
      serve();
    };
    const cancelTimer = line.setTimer(onTimeUp, Math.max(0, deadlineMs - sinceMs));
    signal.addEventListener('abort', onAbort);
    waiters.add(waiter, priority);
    serve();
  });
}

/** How often places become free while all are wanted (between two `rest`), as an exponentially weighted mean; `drainMs` is how long so many take, null: not known yet. */
function createIntervalMeter(now: () => number): { readonly tick: () => void; readonly rest: () => void; readonly drainMs: (places: number) => number | null } {
  let meanMs: number | null = null;
  let atMs: number | null = null;
  return {
    tick: () => {
      const nowMs = now();
      if (atMs !== null) meanMs = meanMs === null ? nowMs - atMs : meanMs + INTERVAL_SHARE * (nowMs - atMs - meanMs);
      atMs = nowMs;
    },
    rest: () => {
      atMs = null;
    },
    drainMs: (places) => (meanMs === null ? null : meanMs * places),
  };
}
