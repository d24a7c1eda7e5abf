import { isJsonObject } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import type { RequestReply, TokenCounts } from '../backends/backend.ts';
import { parseJson } from '../parse-json.ts';

/** A whole answer as a cache keeps it. */
export interface KeptAnswer extends Pick<RequestReply, 'model' | 'finishReason' | 'usage'> {
  readonly isStream: boolean;
  /** UTF-8. The document, or the chunks of a stream, one a line: outside of the JavaScript heap, and counted exactly. */
  readonly body: Buffer;
  readonly keptAtMs: number;
  /** No level gives it after that. */
  readonly untilMs: number;
}

/** Format of what is written to Redis and PostgreSQL; another one there is a miss. */
const FORMAT = 1;
/** What an entry costs beside its body: its key, its objects, its place in a map. */
export const ENTRY_OVERHEAD_BYTES = 600;

const LINE_FEED = 0x0a;

export function keepAnswer(reply: RequestReply, chunks: readonly string[], life: { readonly keptAtMs: number; readonly untilMs: number }): KeptAnswer {
  const { model, finishReason, usage, document } = reply;
  return { model, finishReason, usage, isStream: document === null, body: toBytes(document ?? chunks.join('\n')), ...life };
}

/** Without the pool of small buffers: an entry that lives for an hour would hold a whole slab. */
function toBytes(text: string): Buffer {
  const body = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  body.write(text);
  return body;
}

export const chunksOf = (kept: KeptAnswer): readonly string[] => (kept.isStream ? kept.body.toString().split('\n') : []);

export function replyOf(kept: KeptAnswer): RequestReply {
  const { model, finishReason, usage, isStream, body } = kept;
  return { model, finishReason, usage, document: isStream ? null : body.toString() };
}

/** A line of JSON, then the body as it is. */
export function encodeKept({ body, ...head }: KeptAnswer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify({ format: FORMAT, bytes: body.length, ...head })}\n`), body]);
}

/** null: not in this format, or damaged. */
export function decodeKept(bytes: Uint8Array): KeptAnswer | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf(LINE_FEED);
  if (end === -1) return null;
  const head = parseJson(buffer.toString('utf8', 0, end));
  if (!isJsonObject(head) || head['format'] !== FORMAT || head['bytes'] !== buffer.length - end - 1) return null;
  const { model, finishReason, isStream, keptAtMs, untilMs } = head;
  const usage = parseUsage(head['usage']);
  if (typeof model !== 'string' || typeof finishReason !== 'string' || typeof isStream !== 'boolean' || typeof keptAtMs !== 'number' || typeof untilMs !== 'number' || usage === null) return null;
  const body = Buffer.allocUnsafeSlow(buffer.length - end - 1);
  buffer.copy(body, 0, end + 1);
  return { model, finishReason, usage, isStream, body, keptAtMs, untilMs };
}

function parseUsage(value: JsonValue | undefined): TokenCounts | null {
  if (!isJsonObject(value)) return null;
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens, estimated } = value;
  if (typeof promptTokens !== 'number' || typeof completionTokens !== 'number') return null;
  return {
    promptTokens,
    completionTokens,
    ...(typeof cachedTokens === 'number' ? { cachedTokens } : {}),
    ...(typeof reasoningTokens === 'number' ? { reasoningTokens } : {}),
    ...(estimated === true ? { estimated } : {}),
  };
}
