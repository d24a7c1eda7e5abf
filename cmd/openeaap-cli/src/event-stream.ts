import type { EventSourceMessage } from 'eventsource-parser';
import { createParser } from 'eventsource-parser';
import { CliError } from './cli-error.ts';

/** The server sends a heartbeat each 15 s; three missed ones are a dead connection. */
export const STREAM_IDLE_MS = 45_000;

/** Above any event: a tool result is cut at 64 KiB and a model's reply at 1 MiB. */
const BUFFER_CHARS = 8_388_608;

/**
 * The messages of one SSE response, until the server ends it.
 * @throws CliError `unreachable` when nothing, not even a heartbeat, came for `idleMs`.
 */
export async function* readEventStream(body: ReadableStream<Uint8Array>, idleMs: number): AsyncGenerator<EventSourceMessage, void> {
  const ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => ready.push(message), maxBufferSize: BUFFER_CHARS });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await withinMs(idleMs, reader.read());
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* ready.splice(0);
    }
  } finally {
    // The connection may be dead already; there is nobody to tell.
    await reader.cancel().catch(() => undefined);
  }
}

async function withinMs<T>(ms: number, waited: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CliError('unreachable', `Nothing came for ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([waited, late]);
  } finally {
    clearTimeout(timer);
  }
}
