import { PlatformError } from '@openeaap/kernel';
import type { Dispatcher } from 'undici';
import { createAnswerReader } from '../answer/read-answer.ts';
import type { AnswerSink } from '../answer/read-answer.ts';
import type { RequestKind } from '../request/model-request.ts';
import type { Upstream } from './openai-upstream.ts';
import { upstreamPath } from './upstream-path.ts';
import { errorOfConnection, errorOfStatus, parseRetryAfter } from './upstream-error.ts';
import type { UpstreamContext } from './upstream-error.ts';

export interface Exchange {
  readonly signal: AbortSignal;
  readonly kind: RequestKind;
  readonly body: string;
  readonly sink: AnswerSink;
  /** null: only the caller's clock bounds the silence, as before an answer that comes in one piece. */
  readonly firstByteTimeoutMs: number | null;
  readonly onFirstByte?: (() => void) | undefined;
}

/** Of an error page. */
const REFUSAL_BYTES = 262_144;

/**
 * One POST, read into the sink to its end. Each piece of the body is taken before the next is read,
 * so a slow reader holds the server back. Whatever ends it early also ends the server's work on it.
 * Errors: PlatformErrors, or the signal's reason.
 */
export function exchange(upstream: Upstream, asked: Exchange): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    asked.signal.throwIfAborted();
    const settle = (error: unknown): void => (error === null ? resolve() : reject(error));
    upstream.pool.dispatch({ method: 'POST', path: upstreamPath(upstream.endpoint, asked.kind), headers: headersOf(upstream.context), body: asked.body }, createHandler(upstream, asked, settle));
  });
}

function headersOf({ apiKey }: UpstreamContext): string[] {
  const own = ['accept', 'text/event-stream, application/json', 'content-type', 'application/json'];
  return apiKey === '' ? own : [...own, 'authorization', `Bearer ${apiKey}`];
}

/** Ends one exchange, once: by its answer, by an error, by the caller, by the clock. */
interface Ending {
  readonly isOver: () => boolean;
  /** null: the answer was read to its end. */
  readonly over: (error: unknown) => void;
  /** From our side: the server must stop working on it. */
  readonly stop: (error: unknown) => void;
  /** One clock at a time; null stops it. */
  readonly after: (ms: number | null, then: () => void) => void;
}

function createEnding(signal: AbortSignal, { settle, abort }: { readonly settle: (error: unknown) => void; readonly abort: () => void }): Ending {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const over = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    settle(error);
  };
  const stop = (error: unknown): void => {
    over(error);
    abort();
  };
  const onAbort = (): void => stop(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    isOver: () => isOver,
    over,
    stop,
    after: (ms, then) => {
      clearTimeout(timer);
      if (ms !== null && !isOver) timer = setTimeout(then, ms);
    },
  };
}

/** Lets the connection go on only when the reader of the answer has taken what came; what it says meanwhile waits. */
function createHold(connection: () => Dispatcher.DispatchController | null, fail: (thrown: unknown) => void) {
  let isHeld = false;
  let waiting: (() => void) | null = null;
  const release = (): void => {
    isHeld = false;
    if (waiting === null) connection()?.resume();
    else waiting();
  };
  return {
    until: (full: Promise<void>): void => {
      isHeld = true;
      connection()?.pause();
      full.then(release, fail);
    },
    whenFree: (step: () => void): void => {
      if (isHeld) waiting = step;
      else step();
    },
  };
}

/** `settle` is called once, with null when the answer was read to its end. */
function createHandler(upstream: Upstream, asked: Exchange, settle: (error: unknown) => void): Dispatcher.DispatchHandler {
  const { context } = upstream;
  let controller: Dispatcher.DispatchController | null = null;
  let refusal: Refusal | null = null;
  let hasBegun = false;
  const abort = (): void => controller?.abort(noLongerRead());
  const ending = createEnding(asked.signal, { settle, abort });
  const fail = (thrown: unknown): void => ending.stop(errorOfConnection(context, thrown));
  const hold = createHold(() => controller, fail);
  const finish = (): void => {
    if (ending.isOver()) return;
    try {
      const last = reader.end();
      if (last === null) ending.over(null);
      else last.then(() => ending.over(null), fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
  const reader = createAnswerReader(context, asked.sink, (graceMs) => ending.after(graceMs, () => hold.whenFree(() => (finish(), abort()))));
  const { firstByteTimeoutMs } = asked;
  if (firstByteTimeoutMs !== null) ending.after(firstByteTimeoutMs, () => ending.stop(silent(context, firstByteTimeoutMs)));

  return {
    onRequestStart: (started) => {
      controller = started;
      // It was ended while it waited for a connection.
      if (ending.isOver()) abort();
    },
    onResponseStart: (_controller, status, headers) => {
      // What comes before the answer proper, such as 103, has a status below 200.
      if (status >= 300) refusal = openRefusal(status, headers, upstream.now());
    },
    onResponseData: (_controller, piece) => {
      if (ending.isOver()) return;
      // Of an endless error page the rest is left unread and the connection given up.
      if (refusal !== null) return refusal.add(piece) ? undefined : ending.stop(refusal.toError(context));
      if (!hasBegun) {
        hasBegun = true;
        ending.after(null, abort);
        asked.onFirstByte?.();
      }
      try {
        const full = reader.feed(piece);
        if (full !== null) hold.until(full);
      } catch (thrown) {
        fail(thrown);
      }
    },
    onResponseEnd: () => {
      if (refusal === null) hold.whenFree(finish);
      else ending.over(refusal.toError(context));
    },
    // A connection that breaks after the answer was complete has merely ended.
    onResponseError: (_controller, error) => hold.whenFree(() => (refusal === null && reader.isComplete() ? finish() : ending.over(errorOfConnection(context, error)))),
  };
}

/** A status other than 2xx, and the beginning of what stands below it. */
interface Refusal {
  /** false: it is enough. */
  readonly add: (piece: Buffer) => boolean;
  readonly toError: (context: UpstreamContext) => PlatformError;
}

function openRefusal(status: number, headers: Readonly<Record<string, string | string[] | undefined>>, nowMs: number): Refusal {
  const pieces: Buffer[] = [];
  let bytes = 0;
  return {
    add: (piece) => {
      pieces.push(piece);
      bytes += piece.byteLength;
      return bytes < REFUSAL_BYTES;
    },
    toError: (context) =>
      errorOfStatus(context, {
        status,
        body: Buffer.concat(pieces).subarray(0, REFUSAL_BYTES).toString('utf8'),
        retryAfterMs: parseRetryAfter(headers, nowMs),
        shouldRetry: headers['x-should-retry'] !== 'false',
      }),
  };
}

function silent(context: UpstreamContext, firstByteMs: number): PlatformError {
  return new PlatformError('model_unavailable', `The model backend "${context.backend}" sent nothing within ${firstByteMs} ms.`, {
    details: { backend: context.backend, reason: 'timeout', timeout_ms: firstByteMs },
  });
}

function noLongerRead(): PlatformError {
  return new PlatformError('cancelled', 'The answer is no longer read.');
}
