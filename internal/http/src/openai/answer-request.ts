import type { IncomingMessage, ServerResponse } from 'node:http';
import { PlatformError } from '@openeaap/kernel';
import { withRouted } from './answer-headers.ts';
import { readCallHeaders } from './call-headers.ts';
import { createChunkStream } from './chunk-stream.ts';
import type { ChunkStream, ChunkStreamLimits } from './chunk-stream.ts';
import type { OpenAiKind, OpenAiRouted, OpenAiSession } from './port.ts';
import { readBody } from './read-body.ts';
import { toOpenAiError } from './to-openai-error.ts';
import type { OpenAiError } from './to-openai-error.ts';

/** One request at the door and what is always said in its answer. */
export interface DoorRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** A new set for each answer, with the time that it took. */
  readonly headers: () => Record<string, string | number>;
}

/** What it asks for, by whose right, and where its bytes are counted. */
export interface Asked {
  readonly session: OpenAiSession;
  readonly kind: OpenAiKind;
  /** Told of each piece of the body. Errors: as of the request. */
  readonly received: (bytes: number) => void;
}

export interface AnswerOptions extends ChunkStreamLimits {
  readonly bodyBytes: number;
}

/**
 * Reads the body, asks, and writes the answer. Returns what broke a stream off, whose status could
 * not say it any more; null: nothing did. Errors: of whatever fails before the answer has begun.
 */
export async function answerRequest({ request, response, headers }: DoorRequest, { session, kind, received }: Asked, options: AnswerOptions): Promise<OpenAiError | null> {
  refuseForm(request);
  const said = readCallHeaders(request.headers);
  const left = new AbortController();
  const onClose = (): void => left.abort(new PlatformError('cancelled', 'The client has left.'));
  response.once('close', onClose);
  let routed: OpenAiRouted | null = null;
  const allHeaders = () => withRouted(headers(), routed);
  let stream: ChunkStream | null = null;
  const openStream = (): ChunkStream => (stream ??= createChunkStream(response, { kind, headers: allHeaders, limits: options }));
  try {
    const body = await readBody(request, { limitBytes: options.bodyBytes, received });
    const { document } = await session.ask(kind, body, {
      signal: left.signal,
      traceparent: said.traceparent,
      cacheControl: said.cacheControl,
      sensitivity: said.sensitivity,
      agent: said.agent,
      onChunk: (json) => openStream().write(json),
      onRouted: (facts) => {
        routed = facts;
      },
    });
    if (document === null) openStream().end();
    else sendJson(response, 200, { json: document, headers: allHeaders() });
    return null;
  } catch (thrown) {
    if (stream === null) throw thrown;
    const error = toOpenAiError(thrown);
    openStream().fail(error.error);
    return error;
  } finally {
    response.off('close', onClose);
  }
}

/** `headers` is the answer's own, and is added to. */
export function sendJson(response: ServerResponse, status: number, { json, headers }: { readonly json: string; readonly headers: Record<string, string | number> }): void {
  if (response.destroyed || response.headersSent) return;
  headers['content-type'] = 'application/json; charset=utf-8';
  headers['content-length'] = Buffer.byteLength(json);
  response.writeHead(status, headers);
  response.end(json);
}

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** A body without a type is taken for JSON, as it is by OpenAI. */
function refuseForm({ headers }: IncomingMessage): void {
  const { 'content-type': type, 'content-encoding': encoding } = headers;
  if (type !== undefined && type !== '' && !JSON_TYPE.test(type)) throw new PlatformError('unsupported', 'The body must be JSON. Send the header Content-Type: application/json.', { details: { reason: 'content_type' } });
  if (encoding !== undefined && encoding !== 'identity') throw new PlatformError('unsupported', 'The body must not be compressed. Leave the header Content-Encoding out.', { details: { reason: 'content_type' } });
}
