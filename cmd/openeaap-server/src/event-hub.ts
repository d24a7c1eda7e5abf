import type { Notice, RunEvent, RunStatus, StepDelta } from '@openeaap/kernel';
import { isTerminal } from '@openeaap/kernel';

/**
 * Tells readers of this node that a run has new events. It carries no events: a reader takes them
 * from the store by number, so none is lost or doubled, and a slow reader slows nobody (R8).
 *
 * A run may be driven by another node. Then this node asks for notices about it (`watch`) as long as it has
 * readers, and the node that drives it sends them; without any reader elsewhere nothing is sent at all.
 */
export interface EventHub {
  /** This node has committed to the run, or was told of news. */
  readonly committed: (runId: string) => void;
  readonly delta: (delta: StepDelta) => void;
  /** What other nodes say. */
  readonly hear: (notice: Notice) => void;
  readonly open: (from: RunPosition, signal: AbortSignal) => AsyncIterable<StreamItem>;
  readonly readers: () => number;
  readonly close: () => void;
}

export interface RunPosition {
  readonly tenantId: string;
  readonly runId: string;
  readonly afterSeq: number;
}

export type StreamItem = { readonly kind: 'event'; readonly event: RunEvent } | { readonly kind: 'delta'; readonly delta: StepDelta };

interface EventPage {
  readonly status: RunStatus;
  readonly events: readonly RunEvent[];
}

export interface EventHubOptions {
  readonly readEvents: (from: RunPosition & { readonly limit: number }) => Promise<EventPage | null>;
  /** Newest number and status of each run that there is, by run id. */
  readonly readPositions: (runs: readonly { readonly tenantId: string; readonly runId: string }[]) => Promise<ReadonlyMap<string, { readonly lastSeq: number; readonly status: RunStatus }>>;
  readonly post: (notice: Notice) => void;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  /** How often the runs that are read are looked at together, unasked: the backstop behind notices. */
  readonly pollMs?: number;
}

const PAGE_EVENTS = 200;
/** Deltas that wait for one reader; the oldest are dropped, for they are never more than a preview. */
const WAITING_DELTAS = 256;
/** Pages read at once: however many readers wake together, the runs of this node still get their connections. */
const PAGES_AT_ONCE = 6;
/** A node that has readers says so this often; one that was told believes it for as long as three of these. */
const WATCH_MS = 5_000;
const WATCH_IDS = 100;
/** Runs whose position is read by one statement. */
const POSITIONS = 500;

interface Reader {
  readonly tenantId: string;
  readonly runId: string;
  afterSeq: number;
  isRung: boolean;
  wake: (() => void) | null;
  readonly deltas: StepDelta[];
}

export function createEventHub(options: EventHubOptions): EventHub {
  const readers = new Map<string, Set<Reader>>();
  const pages = createPageReader(options.readEvents);
  /** Runs that other nodes have readers of, and until when to believe it. */
  const watched = new Map<string, number>();
  let lastWatchAt = -Infinity;
  let looking: Promise<void> | null = null;
  const timer = setInterval(() => {
    looking ??= lookAtAll().finally(() => (looking = null));
  }, options.pollMs ?? 1_000);
  timer.unref();

  return {
    committed: (runId) => {
      ring(runId);
      if (isWatched(runId)) options.post({ kind: 'events', runId });
    },
    delta: (delta) => {
      showDelta(delta);
      if (isWatched(delta.runId)) options.post({ kind: 'delta', delta });
    },
    hear: (notice) => {
      if (notice.kind === 'events') ring(notice.runId);
      else if (notice.kind === 'delta') showDelta(notice.delta);
      else if (notice.kind === 'watch') for (const runId of notice.runIds) watched.set(runId, options.now() + 3 * WATCH_MS);
    },
    open,
    readers: () => [...readers.values()].reduce((sum, set) => sum + set.size, 0),
    close: () => clearInterval(timer),
  };

  function ring(runId: string): void {
    readers.get(runId)?.forEach(wake);
  }

  function showDelta(delta: StepDelta): void {
    readers.get(delta.runId)?.forEach((reader) => {
      if (reader.deltas.push(delta) > WAITING_DELTAS) reader.deltas.shift();
      wake(reader);
    });
  }

  function isWatched(runId: string): boolean {
    const until = watched.get(runId);
    if (until === undefined) return false;
    if (until > options.now()) return true;
    watched.delete(runId);
    return false;
  }

  /** Never rejects. */
  async function lookAtAll(): Promise<void> {
    for (const [runId, until] of watched) if (until <= options.now()) watched.delete(runId);
    const all = [...readers.values()].flatMap((set) => [...set].slice(0, 1));
    if (options.now() - lastWatchAt >= WATCH_MS) {
      lastWatchAt = options.now();
      for (let at = 0; at < all.length; at += WATCH_IDS) options.post({ kind: 'watch', runIds: all.slice(at, at + WATCH_IDS).map(({ runId }) => runId) });
    }
    try {
      for (let at = 0; at < all.length; at += POSITIONS) {
        const found = await options.readPositions(all.slice(at, at + POSITIONS));
        for (const { runId } of all.slice(at, at + POSITIONS)) {
          const position = found.get(runId);
          // One that is gone, has ended, or has more than a reader has seen: let the readers look.
          readers.get(runId)?.forEach((reader) => {
            if (position === undefined || isTerminal(position.status) || position.lastSeq > reader.afterSeq) wake(reader);
          });
        }
      }
    } catch (thrown) {
      options.onError(thrown);
    }
  }

  async function* open(from: RunPosition, signal: AbortSignal): AsyncGenerator<StreamItem> {
    const reader: Reader = { ...from, isRung: false, wake: null, deltas: [] };
    const others = readers.get(from.runId) ?? new Set();
    if (others.size === 0) options.post({ kind: 'watch', runIds: [from.runId] });
    readers.set(from.runId, others.add(reader));
    try {
      yield* follow(reader, signal);
    } finally {
      others.delete(reader);
      if (others.size === 0) readers.delete(from.runId);
    }
  }

  async function* follow(reader: Reader, signal: AbortSignal): AsyncGenerator<StreamItem> {
    while (!signal.aborted) {
      // Before the look, so that a commit during the look is not slept through.
      reader.isRung = false;
      const page = await pages.read(reader);
      if (page === null) return;
      for (const event of page.events) {
        yield { kind: 'event', event };
        reader.afterSeq = event.seq;
      }
      if (page.events.length > 0) continue;
      if (isTerminal(page.status)) return;
      for (const delta of reader.deltas.splice(0)) yield { kind: 'delta', delta };
      await rung(reader, signal);
    }
  }
}

function wake(reader: Reader): void {
  reader.isRung = true;
  reader.wake?.();
}

/** Resolves when the reader is woken or the signal aborts. */
function rung(reader: Reader, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      reader.wake = null;
      resolve();
    };
    if (reader.isRung || signal.aborted) return done();
    reader.wake = done;
    signal.addEventListener('abort', done);
  });
}

/** Reads pages, a few at a time; readers of one run that are equally far share one look. */
function createPageReader(readEvents: EventHubOptions['readEvents']): { readonly read: (from: RunPosition) => Promise<EventPage | null> } {
  /** A look that has not begun: whoever joins it sees all that was committed before. */
  const queued = new Map<string, Promise<EventPage | null>>();
  const turns: (() => void)[] = [];
  let underWay = 0;

  return {
    read: (from) => {
      const key = `${from.tenantId}/${from.runId}/${from.afterSeq}`;
      const known = queued.get(key);
      if (known !== undefined) return known;
      const page = inTurn(() => {
        queued.delete(key);
        return readEvents({ tenantId: from.tenantId, runId: from.runId, afterSeq: from.afterSeq, limit: PAGE_EVENTS });
      });
      queued.set(key, page);
      return page;
    },
  };

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    // Later in this turn of the event loop at the soonest, so that readers woken together can join.
    await Promise.resolve();
    if (underWay >= PAGES_AT_ONCE) await new Promise<void>((resolve) => turns.push(resolve));
    underWay += 1;
    try {
      return await work();
    } finally {
      underWay -= 1;
      turns.shift()?.();
    }
  }
}
