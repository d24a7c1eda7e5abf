import { PlatformError } from '@openeaap/kernel';
import type { Dispatcher } from 'undici';
import { createAnswerReader } from '../answer/read-answer.ts';
import type { AnswerSink } from '../answer/read-answer.ts';
import type { Upstream } from './openai-upstream.ts';
import { errorOfConnection, errorOfStatus, parseRetryAfter } from './upstream-error.ts';
import type { UpstreamContext } from './upstream-error.ts';

export interface Exchange {
  readonly signal: AbortSignal;
  /** Below the base URL. */
  readonly path: string;
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
    upstream.pool.dispatch({ method: 'POST', path: `${upstream.endpoint.basePath}${asked.path}`, headers: headersOf(upstream.context), body: asked.body }, createHandler(upstream, asked, settle));
  });
}

function headersOf({ apiKey }: UpstreamContext): string[] {
  const own = ['accept', 'text/event-stream, application/json', 'content-type', 'application/json'];
  return apiKey === '' ? own : [...own, 'authorization', `Bearer ${apiKey}`];
}

interface Refusal {
  readonly status: number;
  readonly retryAfterMs: number | null;
  readonly shouldRetry: boolean;
  readonly pieces: Buffer[];
  bytes: number;
}

/** `settle` is called once, with null when the answer was read to its end. */
function createHandler(upstream: Upstream, asked: Exchange, settle: (error: unknown) => void): Dispatcher.DispatchHandler {
  const { context } = upstream;
  const { signal, sink, firstByteTimeoutMs } = asked;
  let controller: Dispatcher.DispatchController | null = null;
  let timer: NodeJS.Timeout | undefined;
  let refusal: Refusal | null = null;
  let hasBegun = false;
  let isOver = false;
  /** The reader of the answer has to be waited for; what the connection says meanwhile is `after`. */
  let isHeld = false;
  let after: (() => void) | null = null;

  const over = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    settle(error);
  };
  /** Ends it from our side. */
  const stop = (error: unknown): void => {
    over(error);
    controller?.abort(noLongerRead());
  };
  const onAbort = (): void => stop(signal.reason);
  const fail = (thrown: unknown): void => stop(errorOfConnection(context, thrown));
  const finish = (): void => {
    if (isOver) return;
    try {
      const last = reader.end();
      if (last === null) over(null);
      else last.then(() => over(null), fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
  const whenFree = (step: () => void): void => {
    if (isHeld) after = step;
    else step();
  };
  const release = (): void => {
    isHeld = false;
    if (after === null) controller?.resume();
    else after();
  };
  const hold = (full: Promise<void>): void => {
    isHeld = true;
    controller?.pause();
    full.then(release, fail);
  };
  const reader = createAnswerReader(context, sink, (graceMs) => {
    clearTimeout(timer);
    timer = setTimeout(() => whenFree(() => (finish(), controller?.abort(noLongerRead()))), graceMs);
  });
  const refused = (): void => {
    if (refusal === null) return;
    const { status, retryAfterMs, shouldRetry, pieces } = refusal;
    stop(errorOfStatus(context, { status, body: Buffer.concat(pieces).subarray(0, REFUSAL_BYTES).toString('utf8'), retryAfterMs, shouldRetry }));
  };

  if (firstByteTimeoutMs !== null) timer = setTimeout(() => stop(silent(context, firstByteTimeoutMs)), firstByteTimeoutMs);
  signal.addEventListener('abort', onAbort, { once: true });

  return {
    onRequestStart: (started) => {
      controller = started;
      // It was ended while it waited for a connection.
      if (isOver) started.abort(noLongerRead());
    },
    onResponseStart: (_controller, status, headers) => {
      if (status < 200 || (status >= 200 && status < 300)) return;
      refusal = { status, retryAfterMs: parseRetryAfter(headers, upstream.now()), shouldRetry: headers['x-should-retry'] !== 'false', pieces: [], bytes: 0 };
    },
    onResponseData: (_controller, piece) => {
      if (isOver) return;
      if (refusal !== null) {
        refusal.pieces.push(piece);
        refusal.bytes += piece.byteLength;
        // The rest is left unread and the connection given up.
        if (refusal.bytes >= REFUSAL_BYTES) refused();
        return;
      }
      if (!hasBegun) {
        hasBegun = true;
        clearTimeout(timer);
        asked.onFirstByte?.();
      }
      try {
        const full = reader.feed(piece);
        if (full !== null) hold(full);
      } catch (thrown) {
        fail(thrown);
      }
    },
    onResponseEnd: () => whenFree(refusal === null ? finish : refused),
    // A connection that breaks after the answer was complete has merely ended.
    onResponseError: (_controller, error) => whenFree(() => (refusal === null && reader.isComplete() ? finish() : over(errorOfConnection(context, error)))),
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
