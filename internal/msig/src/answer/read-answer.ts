import { isJsonObject, LIMITS } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { createParser } from 'eventsource-parser';
import { closedMidStream, errorOfStatus, invalidOutput } from '../backends/upstream-error.ts';
import type { UpstreamContext } from '../backends/upstream-error.ts';

/**
 * Bytes that one answer may have on the wire. A token of four letters arrives in a chunk of
 * some 250 bytes, so this is far above the limit of the text itself.
 */
const WIRE_BYTES_MAX = LIMITS.modelReplyBytes * 64;
/** A whole JSON answer: its text may be escaped to six times its size, but seldom is. */
const JSON_BYTES_MAX = LIMITS.modelReplyBytes * 4;

/** Where an answer goes. */
export interface AnswerSink {
  /** One event of a stream; `text` is its JSON as it came. Errors: `model_invalid_output`. */
  readonly add: (chunk: JsonObject, text: string) => void;
  /** The whole answer of a server that does not stream; without this it is added like an event. */
  readonly addDocument?: (document: JsonObject, text: string) => void;
  /** The server said why it stopped. */
  readonly isFinished: () => boolean;
  /** Awaited after each piece of the body: a slow reader holds the server back, so nothing piles up. */
  readonly drained?: () => Promise<void> | null;
  /** Of a document; default: enough for the text of a chat. */
  readonly documentBytesMax?: number;
}

export interface AnswerTimes {
  /** The first byte of the body is there. */
  readonly onFirstByte: () => void;
  /** The answer is complete; what may still come is worth waiting for only this long. */
  readonly onTail: (graceMs: number) => void;
}

/** For the end of the HTTP message after `[DONE]`, so that the connection can be used again. */
const END_GRACE_MS = 100;
/** For usage and `[DONE]` after the finish reason; some servers never send them and stay open. */
const USAGE_GRACE_MS = 2_000;

/**
 * Reads the body of a 200 answer into the sink: server-sent events, or one JSON document
 * from servers that do not stream. Told apart by the first character, for content types lie.
 * Errors: `model_unavailable` (closed before the end, an error in the stream), `model_rejected`,
 * `model_invalid_output`; whatever the connection throws.
 */
export async function readAnswer(body: AsyncIterable<Uint8Array>, context: UpstreamContext, sink: AnswerSink, times: AnswerTimes): Promise<void> {
  const decoder = new TextDecoder();
  const stream = createEventReader(context, sink, times);
  const documentBytesMax = sink.documentBytesMax ?? JSON_BYTES_MAX;
  let form: 'unknown' | 'json' | 'events' = 'unknown';
  let json = '';
  let bytes = 0;
  for await (const chunk of untilComplete(body, () => stream.isDone() || sink.isFinished())) {
    if (bytes === 0) times.onFirstByte();
    bytes += chunk.byteLength;
    if (bytes > WIRE_BYTES_MAX) throw tooLarge(context, WIRE_BYTES_MAX);
    const text = decoder.decode(chunk, { stream: true });
    if (form === 'unknown' && text.trim() !== '') form = text.trimStart().startsWith('{') ? 'json' : 'events';
    if (form === 'json') {
      json += text;
      if (bytes > documentBytesMax) throw tooLarge(context, documentBytesMax);
    } else stream.feed(text);
    const waiting = sink.drained?.() ?? null;
    if (waiting !== null) await waiting;
  }
  if (form === 'json') addDocument(json + decoder.decode(), context, sink);
  else stream.end(bytes);
  await sink.drained?.();
}

/** The chunks of the body; a connection that breaks after the answer was complete has merely ended. */
async function* untilComplete(body: AsyncIterable<Uint8Array>, isComplete: () => boolean): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) break;
      yield next.value;
    }
    ended = true;
  } catch (thrown) {
    ended = true;
    if (!isComplete()) throw thrown;
  } finally {
    if (!ended) await chunks.return?.();
  }
}

interface EventReader {
  readonly feed: (text: string) => void;
  /** `[DONE]` was seen; what follows is ignored. */
  readonly isDone: () => boolean;
  /** Errors: when the stream ended before the answer did. */
  readonly end: (bytes: number) => void;
}

function createEventReader(context: UpstreamContext, sink: AnswerSink, times: AnswerTimes): EventReader {
  let done = false;
  let finished = false;
  let events = 0;
  const parser = createParser({
    maxBufferSize: JSON_BYTES_MAX,
    onEvent: ({ event, data }) => {
      if (done) return;
      if (data.trim() === '[DONE]') {
        done = true;
        times.onTail(END_GRACE_MS);
        return;
      }
      const chunk = parseObject(data, context);
      throwInStreamError(chunk, context, event);
      events += 1;
      sink.add(chunk, data);
      if (!finished && sink.isFinished()) times.onTail(USAGE_GRACE_MS);
      finished = sink.isFinished();
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw tooLarge(context, JSON_BYTES_MAX);
    },
  });
  return {
    feed: (text) => parser.feed(text),
    isDone: () => done,
    end: (bytes) => {
      // The last event may lack its blank line.
      parser.reset({ consume: true });
      if (done || sink.isFinished()) return;
      if (events > 0) throw closedMidStream(context);
      throw invalidOutput(context, bytes === 0 ? 'gave an answer without a body.' : 'gave an answer that is neither a stream of events nor JSON.');
    },
  };
}

function addDocument(json: string, context: UpstreamContext, sink: AnswerSink): void {
  const document = parseObject(json, context);
  throwInStreamError(document, context, undefined);
  (sink.addDocument ?? sink.add)(document, json);
}

function parseObject(text: string, context: UpstreamContext): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A cut document is as unusable as a broken one; which of the two cannot be told.
    throw invalidOutput(context, 'gave an answer that is not JSON.');
  }
  if (!isJsonObject(value)) throw invalidOutput(context, 'gave an answer that is not a JSON object.');
  return value;
}

/** An error inside a 200 answer, as OpenAI and vLLM send it once the stream has begun. */
function throwInStreamError(chunk: JsonObject, context: UpstreamContext, event: string | undefined): void {
  const error = chunk['error'];
  if ((error === undefined || error === null || error === false) && event !== 'error') return;
  const code = isJsonObject(error) ? error['code'] : undefined;
  const status = typeof code === 'number' && code >= 400 && code < 600 ? code : 500;
  throw errorOfStatus(context, { status, body: JSON.stringify(chunk), retryAfterMs: null });
}

function tooLarge(context: UpstreamContext, limitBytes: number): Error {
  return invalidOutput(context, `sent more than ${limitBytes} bytes.`, { limit_bytes: limitBytes });
}
