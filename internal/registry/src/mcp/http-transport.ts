/* oxlint-disable unicorn/prefer-add-event-listener -- transports of the SDK are no event targets */
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { FetchLike } from '@modelcontextprotocol/sdk/shared/transport.js';
import { LIMITS, isJsonObject } from '@openeaap/kernel';
import type { EndedTransport } from './ended-transport.ts';
import { STOPPED } from './ended-transport.ts';
import { MCP_LIMITS } from './mcp-config.ts';

export interface HttpOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: FetchLike;
}

/** Put as `data` into the error with which a request ends whose answer will never come. No server can send it. */
export const ANSWER_LOST: unique symbol = Symbol('answer lost');

interface Waiting {
  /** The stream of its answer can be taken up again, which the SDK does by itself. */
  isResumable: boolean;
}

/**
 * Streamable HTTP. The SDK's transport does not notice when the connection breaks in the middle of an answer, reads
 * answers of any length, and goes on with a session that the server has forgotten; this one adds those three.
 */
export function createStreamableTransport(options: HttpOptions): EndedTransport {
  const waiting = new Map<string, Waiting>();
  let reason: string | null = null;

  const lose = (id: string, why: string): void => {
    if (!waiting.delete(id)) return;
    transport.onmessage?.({ jsonrpc: '2.0', id: Number(id), error: { code: -32_000, message: why, data: ANSWER_LOST } });
  };
  const giveUp = (why: string): void => {
    reason ??= why;
    void inner.close();
  };

  const inner = new StreamableHTTPClientTransport(options.url, {
    requestInit: { headers: { ...options.headers } },
    fetch: async (url, init) => {
      const id = requestId(init);
      const response = await options.fetch(url, init);
      return watchBody(response, init?.method === 'GET', (why) => {
        if (id !== null && waiting.get(id)?.isResumable === false) lose(id, why);
      });
    },
  });
  inner.onclose = () => {
    reason ??= STOPPED;
    transport.onclose?.();
  };
  inner.onmessage = (message) => {
    if ('id' in message && !('method' in message)) waiting.delete(String(message.id));
    transport.onmessage?.(message);
  };
  inner.onerror = (error) => {
    // The SDK's word for: a stream that could be resumed is lost for good.
    if (error.message.startsWith('Maximum reconnection attempts')) for (const id of waiting.keys()) lose(id, 'the stream of the answer broke and could not be taken up again');
    transport.onerror?.(error);
  };

  const transport: EndedTransport = {
    ended: () => reason,
    giveUp,
    start: () => inner.start(),
    send: async (message) => {
      const id = 'id' in message && 'method' in message ? String(message.id) : null;
      const entry: Waiting = { isResumable: false };
      if (id !== null) waiting.set(id, entry);
      const onresumptiontoken = (): void => {
        entry.isResumable = true;
      };
      try {
        await inner.send(message, { onresumptiontoken });
      } catch (thrown) {
        if (id !== null) waiting.delete(id);
        // 404 with a session: the server has started anew and knows nothing of us (specification, session management).
        // The sender hears of his 404 first.
        if (thrown instanceof StreamableHTTPError && thrown.code === 404 && inner.sessionId !== undefined) setImmediate(giveUp, 'the server has forgotten the session; it was probably restarted');
        throw thrown;
      }
    },
    close: async () => {
      const stop = AbortSignal.timeout(MCP_LIMITS.stopGraceMs);
      // A polite end of the session; a server that does not answer is left alone.
      await Promise.race([inner.terminateSession().catch(() => undefined), new Promise((resolve) => stop.addEventListener('abort', resolve))]);
      reason ??= STOPPED;
      await inner.close();
    },
    setProtocolVersion: (version) => inner.setProtocolVersion(version),
  };
  return transport;
}

/** HTTP with server-sent events, for servers older than March 2025. A lost stream is the end: its session cannot be taken up. */
export function createSseTransport(options: HttpOptions): EndedTransport {
  let reason: string | null = null;
  let isOpen = false;
  const giveUp = (why: string): void => {
    reason ??= why;
    void inner.close();
  };
  const inner = new SSEClientTransport(options.url, {
    requestInit: { headers: { ...options.headers } },
    fetch: async (url, init) => watchBody(await options.fetch(url, init), true, () => undefined),
  });
  inner.onclose = () => {
    reason ??= STOPPED;
    transport.onclose?.();
  };
  inner.onmessage = (message) => transport.onmessage?.(message);
  inner.onerror = (error) => {
    transport.onerror?.(error);
    if (!isOpen || error.name === 'AbortError' || reason !== null) return;
    // Posts fail by themselves; what comes here besides is the stream.
    if ('event' in error) giveUp('the connection was lost');
  };
  const transport: EndedTransport = {
    ended: () => reason,
    giveUp,
    start: async () => {
      await inner.start();
      isOpen = true;
    },
    send: (message) => inner.send(message),
    close: async () => {
      reason ??= STOPPED;
      await inner.close();
    },
    setProtocolVersion: (version) => inner.setProtocolVersion(version),
  };
  return transport;
}

function requestId(init: RequestInit | undefined): string | null {
  if (init?.method !== 'POST' || typeof init.body !== 'string') return null;
  const message: unknown = JSON.parse(init.body);
  return isJsonObject(message) && 'method' in message && typeof message['id'] === 'number' ? String(message['id']) : null;
}

/**
 * Passes a body on, within a limit: of the answer to one request altogether, of an endless stream for each event. Tells
 * when it is over, after whoever reads it has had the chance to see all of it.
 */
function watchBody(response: Response, isEndless: boolean, onEnd: (why: string) => void): Response {
  if (response.body === null) return response;
  const limitBytes = LIMITS.toolResponseBytes + MCP_LIMITS.envelopeBytes;
  let bytes = 0;
  const reader = response.body.getReader();
  const tell = (why: string): void => void setImmediate(() => setImmediate(onEnd, why));
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { value, done } = await reader.read();
        if (done) {
          controller.close();
          return tell('the answer ended before the result');
        }
        // An empty line ends an event; after one, counting begins anew with what follows it.
        const boundary = isEndless ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).lastIndexOf('\n\n') : -1;
        bytes = boundary === -1 ? bytes + value.byteLength : value.byteLength - boundary;
        if (bytes > limitBytes) throw new Error(`it sent more than ${LIMITS.toolResponseBytes} bytes`);
        controller.enqueue(value);
      } catch (thrown) {
        void reader.cancel().catch(() => undefined);
        controller.error(thrown);
        tell(bytes > limitBytes ? `it sent more than ${LIMITS.toolResponseBytes} bytes` : 'the connection broke in the middle of the answer');
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
}
