import type { RunEvent, RunStatus, StepDelta } from '@openeaap/kernel';
import { isTerminal } from '@openeaap/kernel';

/**
 * Tells readers of this node that a run has new events. It carries no events: a reader takes them
 * from the store by number, so none is lost or doubled, and a slow reader slows nobody (R8).
 */
export interface EventHub {
  readonly committed: (runId: string) => void;
  readonly delta: (delta: StepDelta) => void;
  readonly open: (from: { readonly tenantId: string; readonly runId: string; readonly afterSeq: number }, signal: AbortSignal) => AsyncIterable<StreamItem>;
  readonly readers: () => number;
}

export type StreamItem = { readonly kind: 'event'; readonly event: RunEvent } | { readonly kind: 'delta'; readonly delta: StepDelta };

export interface EventHubOptions {
  readonly readEvents: (from: {
    readonly tenantId: string;
    readonly runId: string;
    readonly afterSeq: number;
    readonly limit: number;
  }) => Promise<{ readonly status: RunStatus; readonly events: readonly RunEvent[] } | null>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** How often a reader looks unasked: events of another node come this way. */
  readonly pollMs?: number;
}

const PAGE_EVENTS = 200;
/** Deltas that wait for one reader; the oldest are dropped, for they are never more than a preview. */
const WAITING_DELTAS = 256;

interface Reader {
  changed: AbortController;
  readonly deltas: StepDelta[];
}

export function createEventHub(options: EventHubOptions): EventHub {
  const readers = new Map<string, Set<Reader>>();
  const pollMs = options.pollMs ?? 1_000;

  return {
    committed: (runId) => readers.get(runId)?.forEach((reader) => reader.changed.abort()),
    delta: (delta) =>
      readers.get(delta.runId)?.forEach((reader) => {
        if (reader.deltas.push(delta) > WAITING_DELTAS) reader.deltas.shift();
        reader.changed.abort();
      }),
    open,
    readers: () => [...readers.values()].reduce((sum, set) => sum + set.size, 0),
  };

  async function* open(from: Parameters<EventHub['open']>[0], signal: AbortSignal): AsyncGenerator<StreamItem> {
    const reader: Reader = { changed: new AbortController(), deltas: [] };
    const others = readers.get(from.runId) ?? new Set();
    readers.set(from.runId, others.add(reader));
    try {
      yield* follow(from, reader, signal);
    } finally {
      others.delete(reader);
      if (others.size === 0) readers.delete(from.runId);
    }
  }

  async function* follow(from: Parameters<EventHub['open']>[0], reader: Reader, signal: AbortSignal): AsyncGenerator<StreamItem> {
    let { afterSeq } = from;
    while (!signal.aborted) {
      // Renewed before the look, so that a commit during the look is not slept through.
      reader.changed = new AbortController();
      const page = await options.readEvents({ ...from, afterSeq, limit: PAGE_EVENTS });
      if (page === null) return;
      for (const event of page.events) {
        yield { kind: 'event', event };
        afterSeq = event.seq;
      }
      if (page.events.length > 0) continue;
      if (isTerminal(page.status)) return;
      for (const delta of reader.deltas.splice(0)) yield { kind: 'delta', delta };
      await options.sleep(pollMs, AbortSignal.any([signal, reader.changed.signal]));
    }
  }
}
