import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';
import { invalidOutput } from '../backends/upstream-error.ts';
import { estimateCompletionUsage } from '../request/estimate-usage.ts';
import { CHOICES_MAX, INPUTS_MAX } from '../request/fields.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { modelOf } from './answer-relay.ts';
import type { AnswerRelay, RelayMeans } from './answer-relay.ts';
import { createChunkOutlet } from './chunk-outlet.ts';
import { CHAT_FORM, indexOf, objectsOf, TEXT_FORM } from './completion-form.ts';
import type { CompletionForm } from './completion-form.ts';
import { createStrictChunks } from './strict-chunk.ts';
import { readUsage, toWireUsage } from './wire-usage.ts';

/** A whole answer may carry speech or images. */
const DOCUMENT_BYTES_MAX = 33_554_432;
/** Beyond what any request may ask for: of each prompt as many as of one. */
const SEQUENCES_MAX = INPUTS_MAX * CHOICES_MAX;

/**
 * Of chats and completions. Changed is what the strict clients trip over, and the usage that we
 * asked for although the client did not. Usage stands once, at the end, wherever the server put it.
 */
export function createCompletionRelay(request: ModelRequest, { context, newId, onChunk }: RelayMeans): AnswerRelay {
  const form = request.kind === 'chat' ? CHAT_FORM : TEXT_FORM;
  const strict = request.kind === 'chat' ? createStrictChunks(newId, (what) => invalidOutput(context, `sent ${what}.`)) : null;
  const outlet = createChunkOutlet(onChunk);
  const progress = createProgress(form, form.choicesOf(request), () => invalidOutput(context, `sent more than ${SEQUENCES_MAX} choices.`));
  let envelope: JsonObject = {};
  let usage: JsonObject | null = null;
  let usageChunk: string | null = null;
  let document: string | null = null;
  const estimate = (): TokenCounts => estimateCompletionUsage(request.body, progress.chars());

  const add = (chunk: JsonObject, text: string): void => {
    if (!request.isStream) throw invalidOutput(context, 'streamed although one answer was asked for.');
    const choices = objectsOf(chunk['choices']);
    if (choices.length > 0) envelope = chunk;
    progress.read(choices);
    const told = chunk['usage'];
    if (isJsonObject(told)) {
      usage = told;
      if (choices.length === 0) {
        usageChunk = text;
        return;
      }
    }
    const mended = strict?.mend(choices) ?? null;
    const bare = withoutUsage(request, chunk, text);
    if (mended === null) outlet.put(typeof bare === 'string' ? bare : JSON.stringify(bare));
    else outlet.put(JSON.stringify({ ...(typeof bare === 'string' ? (JSON.parse(bare) as JsonObject) : bare), choices: mended }));
  };

  return {
    add,
    addDocument: (whole, text) => {
      const choices = objectsOf(whole['choices']);
      if (choices.length === 0) throw invalidOutput(context, 'gave an answer without a choice.');
      if (isJsonObject(whole['usage'])) usage = whole['usage'];
      if (request.isStream) {
        for (const chunk of form.toChunks(whole)) add(chunk, JSON.stringify(chunk));
        return;
      }
      document = text;
      envelope = whole;
      progress.read(choices);
    },
    documentBytesMax: DOCUMENT_BYTES_MAX,
    isFinished: progress.isFinished,
    drained: outlet.drain,
    usage: () => readUsage(usage ?? undefined) ?? (outlet.passedOn() || document !== null ? estimate() : null),
    finish: () => {
      if (progress.ends.size === 0) throw invalidOutput(context, 'gave an answer without a choice.');
      const answer = { model: modelOf(envelope), finishReason: progress.ends.get(0) ?? 'stop', document };
      if (!request.isStream) return answer;
      const shared = envelopeOf(envelope);
      for (const [index, reason] of progress.ends) if (reason === null) outlet.put(JSON.stringify({ ...shared, choices: [form.endOf(index, 'stop')] }));
      if (request.wantsUsage) outlet.put(usageChunk ?? JSON.stringify({ ...shared, choices: [], usage: usage ?? toWireUsage(estimate()) }));
      return outlet.drain()?.then(() => answer) ?? answer;
    },
  };
}

interface Progress {
  /** Why each choice ended; null: not yet. */
  readonly ends: ReadonlyMap<number, string | null>;
  readonly read: (choices: readonly JsonObject[]) => void;
  readonly isFinished: () => boolean;
  /** Characters that the model has written. */
  readonly chars: () => number;
}

function createProgress(form: CompletionForm, expected: number, tooMany: () => Error): Progress {
  const ends = new Map<number, string | null>();
  let open = 0;
  let chars = 0;
  return {
    ends,
    read: (choices) => {
      for (const [at, choice] of choices.entries()) {
        const index = indexOf(choice, at);
        const known = ends.get(index);
        if (known === undefined && ends.size >= SEQUENCES_MAX) throw tooMany();
        const reason = choice['finish_reason'];
        const end = typeof reason === 'string' ? reason : (known ?? null);
        if (end !== known) {
          ends.set(index, end);
          open += (end === null ? 1 : 0) - (known === null ? 1 : 0);
        }
        chars += form.charsOf(choice);
      }
    },
    isFinished: () => open === 0 && ends.size >= expected,
    chars: () => chars,
  };
}

/** What is the same on every chunk. */
function envelopeOf(chunk: JsonObject): JsonObject {
  return Object.fromEntries(['id', 'object', 'created', 'model'].flatMap((key) => (chunk[key] === undefined ? [] : [[key, chunk[key]]])));
}

/**
 * The chunk without the usage that is not for this place: its text as it came where it can be, the
 * object where it must be written anew. In JSON `,"usage":null` can only be a member, never part of a string.
 */
function withoutUsage(request: ModelRequest, chunk: JsonObject, text: string): string | JsonObject {
  const told = chunk['usage'];
  if (request.wantsUsageOnEveryChunk || told === undefined) return text;
  if (request.wantsUsage) return told === null ? text : { ...chunk, usage: null };
  const cut = told === null ? text.replace(',"usage":null', '') : text;
  if (cut !== text) return cut;
  const { usage: _usage, ...others } = chunk;
  return others;
}
