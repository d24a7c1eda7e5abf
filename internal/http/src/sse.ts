import type { ServerResponse } from 'node:http';
import { PlatformError } from '@openeaap/kernel';
import type { FastifyReply } from 'fastify';
import type { StreamItem } from './port.ts';

export interface SseLimits {
  /** A comment is sent this often, so that proxies and clients see a living stream. */
  readonly heartbeatMs: number;
  /** Most bytes that wait in memory for one client. */
  readonly bufferBytes: number;
  /** A client that does not take a full buffer within this time is cut off; it resumes by `Last-Event-ID`. */
  readonly stallMs: number;
  /** Most streams at once on this node. */
  readonly streams: number;
}

/** How soon an `EventSource` connects again. */
const RECONNECT_MS = 2_000;

export type OpenStream = (signal: AbortSignal) => Promise<AsyncIterable<StreamItem> | null>;

export interface Sse {
  /**
   * Answers with the stream; settles when it has ended. Errors of `open` are thrown while an
   * ordinary answer is still possible; null from it is a 204.
   */
  send(reply: FastifyReply, open: OpenStream): Promise<FastifyReply>;
  /** Ends all open streams, so that the server can close; clients resume on another node. */
  close(): void;
}

/** Server-Sent Events over the raw socket; one per app, because it owns the open streams. */
export function createSse(limits: SseLimits): Sse {
  const openStreams = new Set<AbortController>();
  let closing = false;
  return {
    async send(reply, open) {
      if (closing) throw new PlatformError('unavailable', 'This node is stopping. Connect again.');
      if (openStreams.size >= limits.streams) throw new PlatformError('unavailable', `This node already serves ${limits.streams} event streams.`);
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      reply.raw.once('close', abort);
      openStreams.add(controller);
      try {
        const items = await open(controller.signal);
        if (items === null) return await reply.code(204).send();
        reply.hijack();
        await pump(reply, items, { limits, signal: controller.signal });
        return reply;
      } finally {
        reply.raw.off('close', abort);
        openStreams.delete(controller);
        // Whatever ended it: nothing more is to be read for this client.
        abort();
      }
    },
    close() {
      closing = true;
      for (const controller of openStreams) controller.abort();
    },
  };
}

/** One event as it goes over the wire. Deltas have no id: they are not stored and not replayed. */
export function toFrame(item: StreamItem): string {
  if (item.kind === 'delta') {
    return `event: step_delta\ndata: ${JSON.stringify({ step_no: item.delta.stepNo, text: item.delta.text })}\n\n`;
  }
  const { seq, type, data } = item.event;
  return `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

interface PumpContext {
  readonly limits: SseLimits;
  readonly signal: AbortSignal;
}

async function pump(reply: FastifyReply, items: AsyncIterable<StreamItem>, context: PumpContext): Promise<void> {
  const { raw } = reply;
  const { limits, signal } = context;
  // `close`: a stopping server waits for idle keep-alive connections, and a stream leaves none worth keeping.
  reply.headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', connection: 'close' });
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200);
  raw.write(`retry: ${RECONNECT_MS}\n\n`);
  // A heartbeat proves nothing to a client that does not read, and would only fill its buffer.
  const heartbeat = setInterval(() => raw.writableNeedDrain || raw.write(': hb\n\n'), limits.heartbeatMs);
  try {
    for await (const item of items) {
      if (signal.aborted) break;
      raw.write(toFrame(item));
      // Node tells of a drain only above its own high-water mark, so that is the least buffer.
      if (raw.writableNeedDrain && raw.writableLength > limits.bufferBytes && !(await drains(raw, context))) {
        reply.log.info({ waitingBytes: raw.writableLength }, 'event stream ended: the client reads too slowly');
        raw.destroy();
        return;
      }
    }
    raw.end();
  } catch (error) {
    // The answer has begun, so no problem can be sent: a broken stream tells the client to resume.
    reply.log.error({ err: error }, 'event stream failed');
    raw.destroy();
  } finally {
    clearInterval(heartbeat);
  }
}

/**
 * Waits for the client to take what waits for it; false when it does not within `stallMs`. With a
 * timer of its own: a signal made by `AbortSignal.any` may be collected as garbage before it fires.
 */
function drains(raw: ServerResponse, { limits, signal }: PumpContext): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (drained: boolean): void => {
      clearTimeout(timer);
      raw.off('drain', onDrain);
      signal.removeEventListener('abort', onDrain);
      resolve(drained);
    };
    const onDrain = (): void => settle(true);
    const timer = setTimeout(() => settle(false), limits.stallMs);
    raw.once('drain', onDrain);
    signal.addEventListener('abort', onDrain, { once: true });
    if (signal.aborted) settle(true);
  });
}
