import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { invalidOutput } from '../backends/upstream-error.ts';
import { estimateCompletionUsage, latinLength } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { replaceMembers } from '../request/replace-members.ts';
import { modelOf } from './answer-relay.ts';
import type { AnswerRelay, RelayMeans } from './answer-relay.ts';
import { createChunkOutlet } from './chunk-outlet.ts';
import { objectsOf } from './completion-form.ts';
import { finishReasonOf, toResponseEvents } from './response-events.ts';
import { readUsage } from './wire-usage.ts';

/** A response may carry images, and its last event repeats all of it. */
const DOCUMENT_BYTES_MAX = 33_554_432;

const END_TYPES: readonly unknown[] = ['response.completed', 'response.incomplete', 'response.failed'];

/**
 * Of a server that has `/v1/responses` itself: its typed events go on as they came, each with its
 * `type` first. A response that failed in the middle is passed on as such, but no cache keeps it.
 */
export function createResponseRelay(request: ModelRequest, { context, onChunk }: RelayMeans): AnswerRelay {
  const outlet = createChunkOutlet(onChunk);
  /** The latest that the server said about the response as a whole. */
  let response: JsonObject | null = null;
  let isFinished = false;
  let answerChars = 0;
  let document: string | null = null;

  const add = (event: JsonObject, text: string): void => {
    if (!request.isStream) throw invalidOutput(context, 'streamed although one answer was asked for.');
    const { type, delta, response: whole } = event;
    if (typeof type !== 'string') throw invalidOutput(context, 'sent an event without a type.');
    if (isJsonObject(whole)) response = whole;
    if (typeof delta === 'string') answerChars += latinLength(delta);
    if (END_TYPES.includes(type)) isFinished = true;
    outlet.put(/^\s*\{\s*"type"\s*:/.test(text) ? text : replaceMembers(text, { type: JSON.stringify(type) }));
  };

  return {
    add,
    addDocument: (whole, text) => {
      if (!Array.isArray(whole['output'])) throw invalidOutput(context, 'gave a response without "output".');
      if (request.isStream) {
        for (const [at, event] of toResponseEvents(whole).entries()) add({ ...event, sequence_number: at }, JSON.stringify({ ...event, sequence_number: at }));
        return;
      }
      response = whole;
      document = text;
      isFinished = true;
      answerChars = charsOfOutput(whole);
    },
    documentBytesMax: DOCUMENT_BYTES_MAX,
    isFinished: () => isFinished,
    drained: outlet.drain,
    usage: () => readUsage(response?.['usage']) ?? (outlet.passedOn() || document !== null ? estimateCompletionUsage(request.body, answerChars) : null),
    finish: () => {
      if (response === null || !isFinished) throw invalidOutput(context, 'gave no response.');
      const finishReason = finishReasonOf(response);
      return { model: modelOf(response), finishReason, document, ...(finishReason === 'failed' || finishReason === 'cancelled' ? { keep: false } : {}) };
    },
  };
}

function charsOfOutput(response: JsonObject): number {
  const texts = objectsOf(response['output']).flatMap((item) => [item['arguments'], ...objectsOf(item['content']).map((part) => part['text'] ?? part['refusal'])]);
  return texts.reduce<number>((sum, text) => sum + (typeof text === 'string' ? latinLength(text) : 0), 0);
}
