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
  /** Everything since the beginning; null: it was too much. Not whole once `signal` is aborted: then nobody records. */
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

interface FlightState {
  readonly maxBytes: number;
  readonly onClosed: () => void;
  readonly controller: AbortController;
  readonly readers: Set<Reader>;
  chunks: string[];
  /** Chunks that are not in the record any more. */
  forgotten: number;
  /** Of the record, as UTF-8 with a line feed behind each chunk. */
  bytes: number;
  isOpen: boolean;
  outcome: CacheOutcome | null;
  end: { readonly value: FlightEnd } | { readonly error: unknown } | null;
  /** Lets a source go on that is held back. */
  wake: (() => void) | null;
}

/** `onClosed`: nobody may join any more; called once. */
export function createFlight({ maxBytes, onClosed }: Pick<FlightState, 'maxBytes' | 'onClosed'>): Flight {
  const flight: FlightState = { maxBytes, onClosed, controller: new AbortController(), readers: new Set(), chunks: [], forgotten: 0, bytes: 0, isOpen: true, outcome: null, end: null, wake: null };
  const land = (end: NonNullable<FlightState['end']>): void => {
    flight.end = end;
    close(flight);
    for (const reader of flight.readers) advance(flight, reader);
  };
  return {
    join: (seat) => new Promise((resolve, reject) => seatReader(flight, { seat, resolve, reject })),
    start: (work) => {
      const sink: FlightSink = {
        signal: flight.controller.signal,
        begin: (outcome) => (flight.outcome = outcome),
        onChunk: (json) => record(flight, json),
        recorded: () => (flight.forgotten === 0 && flight.bytes <= maxBytes ? flight.chunks : null),
      };
      work(sink).then((value) => land({ value }), (error: unknown) => land({ error }));
    },
  };
}

function seatReader(flight: FlightState, { seat, resolve, reject }: Pick<Reader, 'seat' | 'resolve' | 'reject'>): void {
  const reader: Reader = { seat, resolve, reject, onAbort: () => fail(flight, reader, reasonOf(seat.signal)), at: 0, isBusy: false };
  flight.readers.add(reader);
  // It may leave before it sits down, and be the only one.
  if (seat.signal.aborted) return reader.onAbort();
  seat.signal.addEventListener('abort', reader.onAbort, { once: true });
  advance(flight, reader);
  flight.wake?.();
}

/** A promise where no reader can take more. */
function record(flight: FlightState, json: string): Promise<void> | null {
  const { readers, maxBytes } = flight;
  if (readers.size === 0) return null;
  flight.chunks.push(json);
  flight.bytes += bytesOf(json);
  for (const reader of readers) advance(flight, reader);
  if (flight.bytes > maxBytes) {
    close(flight);
    forget(flight);
  }
  for (const reader of readers) if (!reader.isBusy) return null;
  if (readers.size === 0) return null;
  return new Promise((resolve) => {
    flight.wake = () => {
      flight.wake = null;
      resolve();
    };
  });
}

const bytesOf = (json: string): number => Buffer.byteLength(json) + 1;

/** Gives a reader what it can take. A seat that throws has only itself to lose. */
function advance(flight: FlightState, reader: Reader): void {
  try {
    pump(flight, reader);
  } catch (thrown) {
    fail(flight, reader, thrown);
  }
}

function pump(flight: FlightState, reader: Reader): void {
  const canRead = (): boolean => flight.readers.has(reader) && !reader.isBusy;
  while (canRead() && reader.at < flight.forgotten + flight.chunks.length) {
    if (reader.at === 0 && flight.outcome !== null) reader.seat.onBegin(flight.outcome);
    const json = flight.chunks[reader.at - flight.forgotten] ?? '';
    reader.at += 1;
    const full = reader.seat.onChunk(json);
    if (full !== null) hold(flight, reader, full);
  }
  if (canRead() && flight.end !== null) finish(flight, reader, flight.end);
}

function hold(flight: FlightState, reader: Reader, full: Promise<void>): void {
  reader.isBusy = true;
  const goOn = (): void => {
    reader.isBusy = false;
    if (!flight.readers.has(reader)) return;
    advance(flight, reader);
    flight.wake?.();
  };
  full.then(goOn, (error: unknown) => flight.readers.has(reader) && fail(flight, reader, error));
}

function finish(flight: FlightState, reader: Reader, end: NonNullable<FlightState['end']>): void {
  leave(flight, reader);
  if ('error' in end) return reader.reject(end.error);
  if (reader.at === 0) reader.seat.onBegin(end.value.cache);
  reader.resolve(end.value);
}

function fail(flight: FlightState, reader: Reader, error: unknown): void {
  leave(flight, reader);
  reader.reject(error);
  if (flight.readers.size > 0 || flight.end !== null) return;
  close(flight);
  flight.controller.abort(error);
}

function leave(flight: FlightState, reader: Reader): void {
  flight.readers.delete(reader);
  reader.seat.signal.removeEventListener('abort', reader.onAbort);
  flight.wake?.();
}

function close(flight: FlightState): void {
  if (!flight.isOpen) return;
  flight.isOpen = false;
  flight.onClosed();
}

/** What all have read goes; who still makes the record too long goes too. */
function forget(flight: FlightState): void {
  const { readers, maxBytes } = flight;
  let least = flight.forgotten + flight.chunks.length;
  for (const reader of readers) least = Math.min(least, reader.at);
  for (const read of flight.chunks.slice(0, least - flight.forgotten)) flight.bytes -= bytesOf(read);
  flight.chunks = flight.chunks.slice(least - flight.forgotten);
  flight.forgotten = least;
  // A lone reader holds the source back instead.
  if (flight.bytes <= maxBytes || readers.size === 1) return;
  for (const reader of readers) {
    if (reader.at === least) fail(flight, reader, new PlatformError('unavailable', `This reader fell more than ${maxBytes} bytes behind an answer that it shares with faster ones. Read faster, or ask with "cache-control: no-cache".`, { details: { reason: 'slow_reader' } }));
  }
}

/** What ended a caller's call, as the error to throw. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof PlatformError ? signal.reason : new PlatformError('cancelled', 'The call was cancelled.', { cause: signal.reason });
}
