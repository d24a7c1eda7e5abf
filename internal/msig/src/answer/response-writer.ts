import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { TokenCounts } from '../backends/backend.ts';
import { objectsOf } from './completion-form.ts';
import { endTypeOf, itemAdded, partAdded, partDelta, partDone } from './response-events.ts';
import type { PartPlace, ResponseEvent } from './response-events.ts';
import { toResponseUsage } from './wire-usage.ts';

/**
 * Writes a response from the pieces of a chat: each piece in, the events that it makes out. Every
 * event has its number and every item its place in the output. Text is written into one item at a
 * time, a thought or a message; calls may be written side by side.
 */
export interface ResponseWriter {
  /** A delta of a chat's only choice, and the model's own name for itself. */
  readonly add: (delta: JsonObject, finishReason: JsonValue | undefined, model: string) => readonly string[];
  /** Ends what is open. Of an answer in one piece the events may be left out. */
  readonly end: (about: { readonly model: string; readonly usage: TokenCounts }) => { readonly events: readonly string[]; readonly response: JsonObject };
}

export interface ResponseAbout {
  /** Of the request for the response: its members are repeated in the answer. */
  readonly body: JsonObject;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type PartType = 'output_text' | 'refusal' | 'reasoning_text';

interface OpenPart {
  readonly place: PartPlace;
  readonly type: PartType;
  text: string;
}

interface OpenItem {
  readonly item: JsonObject;
  /** Its place in the output. */
  readonly at: number;
}

interface OpenText extends OpenItem {
  readonly parts: JsonObject[];
  part: OpenPart | null;
}

interface OpenCall extends OpenItem {
  text: string;
}

export function createResponseWriter(about: ResponseAbout): ResponseWriter {
  const envelope = envelopeOf(about);
  /** What stands at each place: as it began, or as it ended. */
  const output: JsonObject[] = [];
  const calls = new Map<JsonValue, OpenCall>();
  let open: OpenText | null = null;
  let finishReason = 'stop';
  let number = 0;
  let events: string[] = [];

  const emit = (...made: readonly ResponseEvent[]): void => {
    for (const event of made) events.push(JSON.stringify({ ...event, sequence_number: number++ }));
  };
  const take = (): readonly string[] => {
    const made = events;
    events = [];
    return made;
  };
  const begin = (model: string): void => {
    if (number > 0) return;
    const response = { ...envelope, model };
    emit({ type: 'response.created', response }, { type: 'response.in_progress', response });
  };
  const place = (item: JsonObject): number => {
    emit(itemAdded(item, output.length));
    return output.push(item) - 1;
  };
  const close = (at: number, item: JsonObject): void => {
    output[at] = item;
    emit({ type: 'response.output_item.done', output_index: at, item });
  };

  const closePart = (text: OpenText): void => {
    if (text.part === null) return;
    const whole = wholePart(text.part);
    emit(...partDone(whole, text.part.place));
    text.parts.push(whole);
    text.part = null;
  };
  const closeText = (): void => {
    if (open === null) return;
    closePart(open);
    close(open.at, { ...open.item, content: open.parts, status: 'completed' });
    open = null;
  };
  const write = (type: PartType, text: string): void => {
    const kind = type === 'reasoning_text' ? 'reasoning' : 'message';
    if (open?.item['type'] !== kind) {
      closeText();
      const item = kind === 'reasoning' ? { id: `rs_${about.newId()}`, type: kind, summary: [], content: [] } : { id: `msg_${about.newId()}`, type: kind, role: 'assistant', content: [] };
      open = { item, at: place(item), parts: [], part: null };
    }
    if (open.part?.type !== type) {
      closePart(open);
      open.part = { place: { item_id: open.item['id'] ?? '', output_index: open.at, content_index: open.parts.length }, type, text: '' };
      emit(partAdded(wholePart(open.part), open.part.place));
    }
    open.part.text += text;
    emit(partDelta({ type }, open.part.place, text));
  };
  const addCall = (piece: JsonObject): void => {
    const key = piece['index'] ?? piece['id'] ?? calls.size;
    const { name = '', arguments: args } = isJsonObject(piece['function']) ? piece['function'] : {};
    let call = calls.get(key);
    if (call === undefined) {
      closeText();
      const item = { id: `fc_${about.newId()}`, type: 'function_call', call_id: piece['id'] ?? `call_${about.newId()}`, name, arguments: '' };
      call = { item, at: place(item), text: '' };
      calls.set(key, call);
    }
    if (typeof args !== 'string' || args === '') return;
    call.text += args;
    emit({ type: 'response.function_call_arguments.delta', item_id: call.item['id'] ?? '', output_index: call.at, delta: args });
  };
  const closeCall = ({ item, at, text }: OpenCall): void => {
    emit({ type: 'response.function_call_arguments.done', item_id: item['id'] ?? '', output_index: at, name: item['name'] ?? '', arguments: text });
    close(at, { ...item, arguments: text, status: 'completed' });
  };

  return {
    add: (delta, reason, model) => {
      begin(model);
      if (typeof reason === 'string') finishReason = reason;
      for (const [type, members] of TEXT_MEMBERS) {
        const text = members.map((member) => delta[member]).find((value) => typeof value === 'string' && value !== '');
        if (typeof text === 'string') write(type, text);
      }
      objectsOf(delta['tool_calls']).forEach(addCall);
      return take();
    },
    end: ({ model, usage }) => {
      begin(model);
      closeText();
      for (const call of calls.values()) closeCall(call);
      const cut = CUTS[finishReason];
      const incomplete = cut === undefined ? {} : { status: 'incomplete', incomplete_details: { reason: cut } };
      const response = { ...envelope, model, status: 'completed', ...incomplete, output, usage: toResponseUsage(usage) };
      emit({ type: endTypeOf(response), response });
      return { events: take(), response };
    },
  };
}

/** In the order in which one delta is read. */
const TEXT_MEMBERS = [
  ['reasoning_text', ['reasoning', 'reasoning_content']],
  ['output_text', ['content']],
  ['refusal', ['refusal']],
] as const;

/** Why a response is incomplete, by the finish reason of its chat. */
const CUTS: Readonly<Record<string, string>> = { length: 'max_output_tokens', content_filter: 'content_filter' };

function wholePart({ type, text }: OpenPart): JsonObject {
  if (type === 'refusal') return { type, refusal: text };
  return type === 'output_text' ? { type, text, annotations: [], logprobs: [] } : { type, text };
}

/** Members of the request that the answer repeats, with what the API says where they are not set. */
const REPEATED: JsonObject = {
  instructions: null, max_output_tokens: null, max_tool_calls: null, metadata: {}, parallel_tool_calls: true, reasoning: { effort: null, summary: null },
  temperature: 1, text: { format: { type: 'text' } }, tool_choice: 'auto', tools: [], top_p: 1, truncation: 'disabled', user: null,
};

function envelopeOf({ body, newId, now }: ResponseAbout): JsonObject {
  return {
    id: `resp_${newId()}`,
    object: 'response',
    created_at: Math.floor(now() / 1_000),
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    model: '',
    output: [],
    previous_response_id: null,
    store: false,
    usage: null,
    ...Object.fromEntries(Object.entries(REPEATED).map(([name, value]) => [name, body[name] ?? value])),
  };
}
