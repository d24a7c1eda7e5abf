import { PlatformError } from '@openeaap/kernel';
import type { RequestReply } from '../backends/backend.ts';
import type { CacheOutcome } from './answer-cache.ts';

/**
 * One answer under way, and everybody who waits for it.
 *
 * 1. What comes is recorded; each reader reads the record at its own pace and has the same chunks in
 *    the same order. The first reader has no rights that others lack.
 * 2. The source is held back only while no reader can take more: a slow one slows nobody else.
 * 3. The work is aborted when nobody reads any more, and only then.
 * 4. A record beyond `maxBytes` takes no new readers and forgets what all have read; a reader that is
 *    `maxBytes` behind loses its place. So a flight holds at most about twice `maxBytes`.
 */
export interface Flight {
  /** May somebody still join from the first chunk on? */
  readonly isOpen: () => boolean;
  /** Everything from the beginning. Errors: the work's, `cancelled` or the signal's own, `unavailable` for a reader that was too slow. */
  readonly join: (seat: Seat) => Promise<FlightEnd>;
  /** Once, after the first reader has joined. */
  readonly start: (work: (sink: FlightSink) => Promise<FlightEnd>) => void;
}

/** One who waits. */
export interface Seat {
  readonly signal: AbortSignal;
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Before the first chunk, or before the end where there is none. */
  readonly onBegin: (outcome: CacheOutcome) => void;
}

export interface FlightEnd {
  readonly reply: RequestReply;
  readonly cache: CacheOutcome;
}

export interface FlightSink {
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
  /** Where the chunks that follow come from. */
  readonly begin: (outcome: CacheOutcome) => void;
  readonly onChunk: (json: string) => Promise<void> | null;
  /** Everything since the beginning; null: it was too much. */
  readonly recorded: () => readonly string[] | null;
}

interface Reader {
  readonly seat: Seat;
  readonly resolve: (end: FlightEnd) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  /** Chunks that it has, counted from the first. */
  at: number;
  isBusy: boolean;
}

/** `onClosed`: nobody may join any more; called once. */
export function createFlight({ maxBytes, onClosed }: { readonly maxBytes: number; readonly onClosed: () => void }): Flight {
  const controller = new AbortController();
  const readers = new Set<Reader>();
  let chunks: string[] = [];
  /** Chunks that were forgotten. */
  let forgotten = 0;
  let chars = 0;
  let isOpen = true;
  let outcome: CacheOutcome | null = null;
  let end: { readonly value: FlightEnd } | { readonly error: unknown } | null = null;
  let wake: (() => void) | null = null;

  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    onClosed();
  };

  const leave = (reader: Reader): void => {
    readers.delete(reader);
    reader.seat.signal.removeEventListener('abort', reader.onAbort);
    wake?.();
  };

  const fail = (reader: Reader, error: unknown): void => {
    leave(reader);
    reader.reject(error);
    if (readers.size > 0 || end !== null) return;
    close();
    controller.abort(error);
  };

  const finish = (reader: Reader): void => {
    if (end === null) return;
    leave(reader);
    if ('error' in end) return reader.reject(end.error);
    if (reader.at === 0) reader.seat.onBegin(end.value.cache);
    reader.resolve(end.value);
  };

  const pump = (reader: Reader): void => {
    while (readers.has(reader) && !reader.isBusy && reader.at < forgotten + chunks.length) {
      if (reader.at === 0 && outcome !== null) reader.seat.onBegin(outcome);
      const json = chunks[reader.at - forgotten] ?? '';
      reader.at += 1;
      const full = reader.seat.onChunk(json);
      if (full !== null) hold(reader, full);
    }
    if (readers.has(reader) && !reader.isBusy && end !== null) finish(reader);
  };

  const hold = (reader: Reader, full: Promise<void>): void => {
    reader.isBusy = true;
    const goOn = (): void => {
      reader.isBusy = false;
      if (!readers.has(reader)) return;
      attempt(reader);
      wake?.();
    };
    full.then(goOn, (error: unknown) => readers.has(reader) && fail(reader, error));
  };

  /** A seat that throws has only itself to lose. */
  const attempt = (reader: Reader): void => {
    try {
      pump(reader);
    } catch (thrown) {
      fail(reader, thrown);
    }
  };

  const forget = (): void => {
    let least = forgotten + chunks.length;
    for (const reader of readers) least = Math.min(least, reader.at);
    for (const read of chunks.slice(0, least - forgotten)) chars -= read.length;
    chunks = chunks.slice(least - forgotten);
    forgotten = least;
    // A lone reader holds the source back instead.
    if (chars <= maxBytes || readers.size === 1) return;
    for (const reader of readers) {
      if (reader.at === least) fail(reader, new PlatformError('unavailable', `This reader fell more than ${maxBytes} bytes behind an answer that it shares with faster ones. Read faster, or ask with "cache-control: no-cache".`, { details: { reason: 'slow_reader' } }));
    }
  };

  const onChunk = (json: string): Promise<void> | null => {
    if (readers.size === 0) return null;
    chunks.push(json);
    chars += json.length;
    for (const reader of readers) attempt(reader);
    if (chars > maxBytes) {
      close();
      forget();
    }
    for (const reader of readers) if (!reader.isBusy) return null;
    return readers.size === 0 ? null : new Promise((resolve) => {
      wake = () => {
        wake = null;
        resolve();
      };
    });
  };

  const land = (landed: NonNullable<typeof end>): void => {
    end = landed;
    close();
    for (const reader of readers) attempt(reader);
  };

  return {
    isOpen: () => isOpen,
    join: (seat) =>
      new Promise((resolve, reject) => {
        const reader: Reader = { seat, resolve, reject, onAbort: () => fail(reader, reasonOf(seat.signal)), at: 0, isBusy: false };
        if (seat.signal.aborted) return reject(reasonOf(seat.signal));
        readers.add(reader);
        seat.signal.addEventListener('abort', reader.onAbort, { once: true });
        attempt(reader);
        wake?.();
      }),
    start: (work) => {
      const sink: FlightSink = { signal: controller.signal, begin: (from) => (outcome = from), onChunk, recorded: () => (forgotten === 0 && chars <= maxBytes ? chunks : null) };
      work(sink).then((value) => land({ value }), (error: unknown) => land({ error }));
    },
  };
}

/** What ended a caller's call, as the error to throw. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof PlatformError ? signal.reason : new PlatformError('cancelled', 'The call was cancelled.', { cause: signal.reason });
}
