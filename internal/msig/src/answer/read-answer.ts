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
  /** Of a document, or of one event; default: enough for the text of a chat. */
  readonly documentBytesMax?: number;
}

/** Told when the answer is complete; what may still come is worth waiting for only this long. */
export type OnTail = (graceMs: number) => void;

/** For the end of the HTTP message after `[DONE]`, so that the connection can be used again. */
const END_GRACE_MS = 100;
/** For usage and `[DONE]` after the finish reason; some servers never send them and stay open. */
const USAGE_GRACE_MS = 2_000;

/**
 * Takes the body of a 200 answer, piece by piece, into the sink: server-sent events, or one JSON
 * document from servers that do not stream. Told apart by the first character, for content types lie.
 */
export interface AnswerReader {
  /** A promise must be waited for before the next piece. Errors: as of `end`. */
  readonly feed: (piece: Buffer) => Promise<void> | null;
  /** The answer is complete: a connection that breaks now has merely ended. */
  readonly isComplete: () => boolean;
  /** The body is over. Errors: `model_unavailable` (closed before the end, an error in the stream), `model_rejected`, `model_invalid_output`. */
  readonly end: () => Promise<void> | null;
}

export function createAnswerReader(context: UpstreamContext, sink: AnswerSink, onTail: OnTail): AnswerReader {
  const documentBytesMax = sink.documentBytesMax ?? JSON_BYTES_MAX;
  let events: EventReader | null = null;
  let document: Buffer[] | null = null;
  let bytes = 0;
  const drained = (): Promise<void> | null => sink.drained?.() ?? null;
  return {
    feed: (piece) => {
      bytes += piece.byteLength;
      if (bytes > WIRE_BYTES_MAX) throw tooLarge(context, WIRE_BYTES_MAX);
      if (events === null && document === null) {
        const first = piece.find((byte) => byte > SPACE);
        if (first === undefined) return null;
        if (first === OPEN_BRACE) document = [];
        else events = createEventReader(context, sink, onTail);
      }
      if (document !== null) {
        if (bytes > documentBytesMax) throw tooLarge(context, documentBytesMax);
        document.push(piece);
        return null;
      }
      events?.feed(piece);
      return drained();
    },
    isComplete: () => events?.isDone() === true || sink.isFinished(),
    end: () => {
      if (document !== null) addDocument(Buffer.concat(document).toString('utf8'), context, sink);
      else if (events !== null) events.end();
      else throw invalidOutput(context, bytes === 0 ? 'gave an answer without a body.' : NEITHER);
      return drained();
    },
  };
}

const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const NEITHER = 'gave an answer that is neither a stream of events nor JSON.';

interface EventReader {
  readonly feed: (piece: Buffer) => void;
  /** `[DONE]` was seen; what follows is ignored. */
  readonly isDone: () => boolean;
  /** Errors: when the stream ended before the answer did. */
  readonly end: () => void;
}

function createEventReader(context: UpstreamContext, sink: AnswerSink, onTail: OnTail): EventReader {
  const eventBytesMax = sink.documentBytesMax ?? JSON_BYTES_MAX;
  // A character may be cut anywhere between two pieces.
  const decoder = new TextDecoder();
  let done = false;
  let finished = false;
  let count = 0;
  const parser = createParser({
    maxBufferSize: eventBytesMax,
    onEvent: ({ event, data }) => {
      if (done) return;
      if (data.trim() === '[DONE]') {
        done = true;
        onTail(END_GRACE_MS);
        return;
      }
      const chunk = parseObject(data, context);
      throwInStreamError(chunk, context, event);
      count += 1;
      sink.add(chunk, data);
      if (!finished && sink.isFinished()) onTail(USAGE_GRACE_MS);
      finished = sink.isFinished();
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw tooLarge(context, eventBytesMax);
    },
  });
  return {
    feed: (piece) => parser.feed(decoder.decode(piece, { stream: true })),
    isDone: () => done,
    end: () => {
      // The last event may lack its blank line.
      parser.reset({ consume: true });
      if (done || sink.isFinished()) return;
      throw count > 0 ? closedMidStream(context) : invalidOutput(context, NEITHER);
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
  if ((error === undefined || error === null || error === false) && event !== 'error' && chunk['type'] !== 'error') return;
  const code = isJsonObject(error) ? error['code'] : undefined;
  const status = typeof code === 'number' && code >= 400 && code < 600 ? code : 500;
  throw errorOfStatus(context, { status, body: JSON.stringify(chunk), retryAfterMs: null });
}

function tooLarge(context: UpstreamContext, limitBytes: number): Error {
  return invalidOutput(context, `sent more than ${limitBytes} bytes.`, { limit_bytes: limitBytes });
}
