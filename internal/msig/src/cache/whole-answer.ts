import { isJsonObject } from '@openeaap/kernel';
import type { RequestReply } from '../backends/backend.ts';
import { parseJson } from '../parse-json.ts';
import type { RequestKind } from '../request/model-request.ts';

const GOOD_ENDS: ReadonlySet<string> = new Set(['stop', 'tool_calls', 'function_call']);

/** Only a whole and good answer is kept: not one that was cut, filtered, refused by an error, empty, or made by a stand-in. */
export function isWholeAnswer(kind: RequestKind, reply: RequestReply, chunks: readonly string[]): boolean {
  if (reply.keep === false || !GOOD_ENDS.has(reply.finishReason)) return false;
  const last = reply.document ?? chunks.at(-1);
  if (last === undefined || last === '') return false;
  if (kind === 'embeddings' || kind === 'rerank') return true;
  if (reply.usage.completionTokens === 0) return false;
  return kind !== 'responses' || saysCompleted(last);
}

/** A response says itself how it ended: as `status`, and as the type of a stream's last event. */
function saysCompleted(text: string): boolean {
  const value = parseJson(text);
  if (!isJsonObject(value)) return false;
  return value['type'] === 'response.completed' || (value['object'] === 'response' && (value['status'] === undefined || value['status'] === 'completed'));
}
