import { createParser } from 'eventsource-parser';
import { ApiError } from './api-error.ts';
import { pause } from './pause.ts';
import type { StreamEvent } from './run-events.ts';
import { isFinal, toStreamEvent } from './run-events.ts';
import type { Connection } from './send-request.ts';
import { openResponse } from './send-request.ts';

export interface StreamOptions {
  /** Only events after this `seq`; 0: from the first. */
  readonly after?: number;
  readonly signal?: AbortSignal | undefined;
  /** How long a stream may be out of reach before it is given up; default 5 minutes. */
  readonly giveUpAfterMs?: number;
  /** A connection on which nothing came for so long is dead and made again; default 45 s, three heartbeats of the server. */
  readonly idleMs?: number;
}

/** The server sends a heartbeat each 15 s. */
const IDLE_MS = 45_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
const GIVE_UP_AFTER_MS = 300_000;
/** Above any event: a tool result is cut at 64 KiB and a model's reply at 1 MiB. */
const EVENT_CHARS = 8_388_608;

/**
 * The events of a run until it has ended, each once and in order, over as many connections as it takes: a broken one
 * is resumed behind the last event that came. Errors: ApiError; the signal's reason when it aborts.
 */
export async function* streamRun(connection: Connection, runId: string, options: StreamOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
  const { signal, giveUpAfterMs = GIVE_UP_AFTER_MS } = options;
  let lastSeq = options.after ?? 0;
  let failures = 0;
  let lastNewsAt = Date.now();
  for (;;) {
    let failure: ApiError | null = null;
    try {
      for await (const event of readOnce(connection, runId, { lastSeq, signal, idleMs: options.idleMs ?? IDLE_MS })) {
        failures = 0;
        lastNewsAt = Date.now();
        if (event === ENDED_BEFORE) return;
        // A server that counts differently must not bring anything twice.
        if (event.seq !== null && event.seq <= lastSeq) continue;
        lastSeq = event.seq ?? lastSeq;
        yield event;
        if (isFinal(event)) return;
      }
      // The node that served it is stopping, or found us too slow: another connection goes on where this one ended.
    } catch (thrown) {
      signal?.throwIfAborted();
      if (!(thrown instanceof ApiError) || !thrown.retryable) throw thrown;
      failure = thrown;
    }
    if (failure === null) lastNewsAt = Date.now();
    else if (Date.now() - lastNewsAt > giveUpAfterMs) throw failure;
    failures += 1;
    await pause(waitMs(failures, failure), signal);
  }
}

/** Half of it by chance: a thousand clients of one node come back spread out. */
function waitMs(failures: number, failure: ApiError | null): number {
  const wait = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
  return Math.max(wait / 2 + (Math.random() * wait) / 2, Math.min(failure?.retryAfterMs ?? 0, LONGEST_WAIT_MS));
}

/** The run had ended and nothing follows. */
const ENDED_BEFORE = null;

interface Place {
  readonly lastSeq: number;
  readonly signal: AbortSignal | undefined;
  readonly idleMs: number;
}

/** One connection, from behind `lastSeq` to its end. */
async function* readOnce(connection: Connection, runId: string, { lastSeq, signal, idleMs }: Place): AsyncGenerator<StreamEvent | typeof ENDED_BEFORE, void, undefined> {
  // Whoever stops reading ends the connection with it.
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    const headers = { accept: 'text/event-stream', ...(lastSeq === 0 ? {} : { 'last-event-id': String(lastSeq) }) };
    const response = await openResponse(connection, { path: ['runs', runId, 'events'], headers }, controller.signal);
    if (response.status === 204 || response.body === null) {
      yield ENDED_BEFORE;
      return;
    }
    if (response.headers.get('content-type')?.includes('text/event-stream') !== true) throw new ApiError('bad_response', 'The server answered with something that is no event stream.', { status: response.status });
    yield* readEvents(response.body, idleMs);
  } finally {
    signal?.removeEventListener('abort', abort);
    controller.abort();
  }
}

async function* readEvents(body: ReadableStream<Uint8Array>, idleMs: number): AsyncGenerator<StreamEvent, void, undefined> {
  const ready: StreamEvent[] = [];
  const onEvent = (message: Parameters<typeof toStreamEvent>[0]): void => {
    const event = toStreamEvent(message);
    if (event !== null) ready.push(event);
  };
  const parser = createParser({ onEvent, maxBufferSize: EVENT_CHARS });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), idleMs);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* ready.splice(0);
    }
  } finally {
    // The connection may be dead already; there is nobody to tell.
    reader.cancel().catch(() => undefined);
  }
}

/** What breaks or stays silent is a lost connection: it is made again. */
async function inTime<T>(read: Promise<T>, idleMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ApiError('timeout', `Nothing came for ${idleMs} ms.`)), idleMs);
  });
  try {
    return await Promise.race([read, silent]);
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError('unreachable', 'The stream broke off.', { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
}
