import type { ServerResponse } from 'node:http';
import { PlatformError } from '@openeaap/kernel';
import type { OpenAiKind } from './port.ts';
import type { OpenAiError } from './to-openai-error.ts';

export interface ChunkStreamLimits {
  /** A comment is sent after this much silence, so that proxies see a living stream. */
  readonly heartbeatMs: number;
  /** A client that leaves a full buffer unread for this long is cut off. */
  readonly stallMs: number;
}

/** A streamed answer: server-sent events, as OpenAI frames them. Begins with its first chunk, or its end. */
export interface ChunkStream {
  /** A promise while the client has not taken what waits for it. It rejects when the client is gone or does not read. */
  readonly write: (json: string) => Promise<void> | null;
  readonly end: () => void;
  /** The clients of OpenAI throw what such an event holds; without the last event nobody takes the answer for complete. */
  readonly fail: (error: OpenAiError['error']) => void;
}

/** The two ways of OpenAI to write events: chunks that end with `[DONE]`, and typed events of which the last says that it is. */
interface Framing {
  readonly chunk: (json: string) => string;
  readonly last: string;
  readonly error: (error: OpenAiError['error'], number: number) => string;
}

const CHUNKS: Framing = {
  chunk: (json) => `data: ${json}\n\n`,
  last: 'data: [DONE]\n\n',
  error: (error) => `data: ${JSON.stringify({ error })}\n\n`,
};

const TYPED_EVENTS: Framing = {
  chunk: (json) => `event: ${typeOf(json)}\ndata: ${json}\n\n`,
  last: '',
  // As the API says it, and as its clients look for it.
  error: (error, number) => `event: error\ndata: ${JSON.stringify({ type: 'error', code: error.code, message: error.message, param: error.param, sequence_number: number, error })}\n\n`,
};

export interface ChunkStreamOptions {
  readonly kind: OpenAiKind;
  /** Of the answer; asked for when it begins. */
  readonly headers: () => Record<string, string | number>;
  readonly limits: ChunkStreamLimits;
}

export function createChunkStream(response: ServerResponse, { kind, headers, limits: { heartbeatMs, stallMs } }: ChunkStreamOptions): ChunkStream {
  const framing = kind === 'responses' ? TYPED_EVENTS : CHUNKS;
  let isOpen = false;
  let written = 0;
  let heartbeat: NodeJS.Timeout | undefined;
  const open = (): void => {
    isOpen = true;
    response.writeHead(200, { ...headers(), 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' });
    // A heartbeat proves nothing to a client that does not read, and would only fill its buffer.
    heartbeat = setInterval(() => response.writableNeedDrain || response.write(': hb\n\n'), heartbeatMs);
    response.once('close', () => clearInterval(heartbeat));
  };
  const finish = (last: string): void => {
    if (response.destroyed) return;
    if (!isOpen) open();
    clearInterval(heartbeat);
    response.end(last);
  };
  return {
    write: (json) => {
      if (response.destroyed) return Promise.reject(gone('The client has left.'));
      if (!isOpen) open();
      written += 1;
      heartbeat?.refresh();
      return response.write(framing.chunk(json)) ? null : drained(response, stallMs);
    },
    end: () => finish(framing.last),
    fail: (error) => finish(framing.error(error, written)),
  };
}

/** The gateway writes it first; from anywhere else it is looked for. */
function typeOf(json: string): string {
  const first = /^\s*\{\s*"type"\s*:\s*"([\w.]+)"/.exec(json)?.[1];
  if (first !== undefined) return first;
  const { type } = JSON.parse(json) as { readonly type?: unknown };
  return typeof type === 'string' && /^[\w.]+$/.test(type) ? type : 'message';
}

function drained(response: ServerResponse, stallMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: PlatformError | null): void => {
      clearTimeout(timer);
      response.off('drain', onDrain);
      response.off('close', onClose);
      if (error === null) return resolve();
      response.destroy();
      reject(error);
    };
    const onDrain = (): void => settle(null);
    const onClose = (): void => settle(gone('The client has left.'));
    const timer = setTimeout(() => settle(gone('The client reads too slowly.')), stallMs);
    response.once('drain', onDrain);
    response.once('close', onClose);
  });
}

const gone = (message: string): PlatformError => new PlatformError('cancelled', message);
