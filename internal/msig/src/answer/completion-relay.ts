import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';
import { toCompletionChunks } from './completion-chunks.ts';
import { estimateCompletionUsage } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';
import type { AnswerSink } from './read-answer.ts';
import { readUsage } from './reply-assembler.ts';
import { createStrictChunks } from './strict-chunk.ts';
import { invalidOutput } from '../backends/upstream-error.ts';
import type { UpstreamContext } from '../backends/upstream-error.ts';

/**
 * Passes a server's answer on as it came, chunk for chunk, and reads along: usage, model, why it
 * ended. Changed is only what must be: what the strict clients trip over, and the usage that we
 * asked for although the client did not. Usage stands once, at the end, wherever the server put it.
 */
export interface CompletionRelay extends AnswerSink {
  /** What the stream still lacks when the server is done. Errors: `model_invalid_output` when there was no answer at all. */
  readonly finish: () => Promise<RelayedAnswer>;
  /** As the server reported it; else estimated from what was passed on; null when nothing was. */
  readonly usage: () => TokenCounts | null;
  readonly passedOn: () => boolean;
}

export interface RelayedAnswer {
  readonly model: string;
  readonly finishReason: string;
  readonly document: string | null;
}

export interface RelayMeans {
  readonly context: UpstreamContext;
  readonly newId: () => string;
  readonly onChunk: (json: string) => Promise<void> | null;
}

/** A whole answer may carry speech or images. */
const DOCUMENT_BYTES_MAX = 33_554_432;

export function createCompletionRelay(completion: ModelRequest, { context, newId, onChunk }: RelayMeans): CompletionRelay {
  const strict = createStrictChunks(newId, (what) => invalidOutput(context, `sent ${what}.`));
  /** Why each choice ended; null: not yet. */
  const ends = new Map<number, string | null>();
  let envelope: JsonObject = {};
  let usage: JsonObject | null = null;
  let usageChunk: string | null = null;
  let answerChars = 0;
  let document: string | null = null;
  let waiting: string[] = [];
  let passedOn = false;

  const read = (chunk: JsonObject, choices: readonly JsonObject[]): void => {
    if (isJsonObject(chunk['usage'])) usage = chunk['usage'];
    for (const [at, choice] of choices.entries()) {
      const index = typeof choice['index'] === 'number' ? choice['index'] : at;
      const reason = choice['finish_reason'];
      ends.set(index, typeof reason === 'string' ? reason : (ends.get(index) ?? null));
      answerChars += charsOf(choice['delta'] ?? choice['message']);
    }
  };

  const flush = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    for (const json of batch) {
      passedOn = true;
      const full = onChunk(json);
      if (full !== null) await full;
    }
  };

  const add = (chunk: JsonObject, text: string): void => {
    if (!completion.isStream) throw invalidOutput(context, 'streamed although one answer was asked for.');
    const choices = choicesOf(chunk);
    if (choices.length > 0) envelope = envelopeOf(chunk);
    read(chunk, choices);
    const reportsUsage = isJsonObject(chunk['usage']);
    if (choices.length === 0 && reportsUsage && !completion.wantsUsageOnEveryChunk) {
      usageChunk = text;
      return;
    }
    const mended = strict.mend(choices);
    const bare = withoutUsage(completion, chunk, text);
    if (mended === null && typeof bare === 'string') waiting.push(oneLine(bare));
    else waiting.push(JSON.stringify({ ...(typeof bare === 'string' ? (JSON.parse(bare) as JsonObject) : bare), ...(mended === null ? {} : { choices: mended }) }));
  };

  return {
    add,
    addDocument: (whole, text) => {
      const choices = choicesOf(whole);
      if (choices.length === 0) throw invalidOutput(context, 'gave an answer without a choice.');
      if (!completion.isStream) {
        document = text;
        envelope = whole;
        return read(whole, choices);
      }
      if (isJsonObject(whole['usage'])) usage = whole['usage'];
      for (const chunk of toCompletionChunks(whole)) add(chunk, JSON.stringify(chunk));
    },
    documentBytesMax: DOCUMENT_BYTES_MAX,
    isFinished: () => ends.size >= completion.choices && [...ends.values()].every((reason) => reason !== null),
    drained: () => (waiting.length === 0 ? null : flush()),
    usage: () => readUsage(usage) ?? (passedOn || document !== null ? estimateCompletionUsage(completion.body, answerChars) : null),
    passedOn: () => passedOn,
    finish: async () => {
      if (ends.size === 0) throw invalidOutput(context, 'gave an answer without a choice.');
      if (completion.isStream) {
        for (const [index, reason] of ends) {
          if (reason === null) waiting.push(JSON.stringify({ ...envelope, choices: [{ index, delta: {}, logprobs: null, finish_reason: 'stop' }] }));
        }
        if (completion.wantsUsage) waiting.push(usageChunk ?? JSON.stringify({ ...envelope, choices: [], usage: usage ?? toWireUsage(estimateCompletionUsage(completion.body, answerChars)) }));
        await flush();
      }
      return { model: typeof envelope['model'] === 'string' ? envelope['model'].slice(0, 200) : '', finishReason: ends.get(0) ?? 'stop', document };
    },
  };
}

/** Usage in the words of the API; `estimated` is ours. */
export function toWireUsage({ promptTokens, completionTokens, estimated }: TokenCounts): JsonObject {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens, ...(estimated === true ? { estimated } : {}) };
}

/** What is the same on every chunk. */
function envelopeOf(chunk: JsonObject): JsonObject {
  return Object.fromEntries(['id', 'object', 'created', 'model'].flatMap((key) => (chunk[key] === undefined ? [] : [[key, chunk[key]]])));
}

function choicesOf(chunk: JsonObject): readonly JsonObject[] {
  return Array.isArray(chunk['choices']) ? chunk['choices'].filter(isJsonObject) : [];
}

/**
 * The chunk without the usage that is not for this place: its text as it came where it can be, the
 * object where it must be written anew. In JSON `,"usage":null` can only be a member, never part of a string.
 */
function withoutUsage(completion: ModelRequest, chunk: JsonObject, text: string): string | JsonObject {
  if (completion.wantsUsageOnEveryChunk || chunk['usage'] === undefined) return text;
  if (completion.wantsUsage) return chunk['usage'] === null ? text : { ...chunk, usage: null };
  const cut = chunk['usage'] === null ? text.replace(',"usage":null', '') : text;
  if (cut !== text) return cut;
  const { usage: _usage, ...others } = chunk;
  return others;
}

/** An event of several lines would have to be cut into several fields; JSON never needs them. */
function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? JSON.stringify(JSON.parse(text)) : text;
}

/** Everything in a delta or message that a model wrote. */
function charsOf(message: JsonValue | undefined): number {
  if (!isJsonObject(message)) return 0;
  const written = ['content', 'reasoning', 'reasoning_content', 'refusal'].map((key) => message[key]);
  const calls = Array.isArray(message['tool_calls']) ? message['tool_calls'].filter(isJsonObject) : [];
  const parts = [...calls.map((call) => call['function']), message['function_call']].filter(isJsonObject);
  return [...written, ...parts.flatMap((part) => [part['name'], part['arguments']])].reduce<number>((sum, text) => sum + (typeof text === 'string' ? text.length : 0), 0);
}
