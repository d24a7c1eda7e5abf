import type { ServerResponse } from 'node:http';
import { PlatformError } from '@openeaap/kernel';
import type { FastifyReply } from 'fastify';
import type { OpenAiError } from './to-openai-error.ts';

export interface ChunkStreamLimits {
  /** A comment is sent after this much silence, so that proxies see a living stream. */
  readonly heartbeatMs: number;
  /** A client that leaves a full buffer unread for this long is cut off. */
  readonly stallMs: number;
}

/** A streamed answer: server-sent events over the raw socket, as OpenAI frames them. Begins with its first chunk. */
export interface ChunkStream {
  readonly isOpen: () => boolean;
  /** A promise while the client has not taken what waits for it. It rejects when the client is gone or does not read. */
  readonly write: (json: string) => Promise<void> | null;
  readonly end: () => void;
  /** The clients of OpenAI throw what such an event holds; without `[DONE]` nobody takes the answer for complete. */
  readonly fail: (error: OpenAiError['error']) => void;
}

export function createChunkStream(reply: FastifyReply, limits: ChunkStreamLimits): ChunkStream {
  const { raw } = reply;
  let isOpen = false;
  let heartbeat: NodeJS.Timeout | undefined;
  const open = (): void => {
    isOpen = true;
    reply.hijack();
    reply.headers({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' });
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200);
    // A heartbeat proves nothing to a client that does not read, and would only fill its buffer.
    heartbeat = setInterval(() => raw.writableNeedDrain || raw.write(': hb\n\n'), limits.heartbeatMs);
    raw.once('close', () => clearInterval(heartbeat));
  };
  const finish = (last: string): void => {
    clearInterval(heartbeat);
    if (!raw.destroyed) raw.end(last);
  };
  return {
    isOpen: () => isOpen,
    write: (json) => {
      if (!isOpen) open();
      if (raw.destroyed) return Promise.reject(gone('The client has left.'));
      heartbeat?.refresh();
      return raw.write(`data: ${json}\n\n`) ? null : drained(raw, limits.stallMs);
    },
    end: () => finish('data: [DONE]\n\n'),
    fail: (error) => finish(`data: ${JSON.stringify({ error })}\n\n`),
  };
}

function drained(raw: ServerResponse, stallMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: PlatformError | null): void => {
      clearTimeout(timer);
      raw.off('drain', onDrain);
      raw.off('close', onClose);
      if (error === null) return resolve();
      raw.destroy();
      reject(error);
    };
    const onDrain = (): void => settle(null);
    const onClose = (): void => settle(gone('The client has left.'));
    const timer = setTimeout(() => settle(gone('The client reads too slowly.')), stallMs);
    raw.once('drain', onDrain);
    raw.once('close', onClose);
  });
}

const gone = (message: string): PlatformError => new PlatformError('cancelled', message);
