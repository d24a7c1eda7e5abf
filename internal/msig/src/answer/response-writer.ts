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
  const output = createOutput();
  const texts = createTexts(output, about.newId);
  const calls = createCalls(output, about.newId);
  let hasBegun = false;
  let finishReason = 'stop';
  const begin = (model: string): void => {
    if (hasBegun) return;
    hasBegun = true;
    const response = { ...envelope, model };
    output.emit({ type: 'response.created', response }, { type: 'response.in_progress', response });
  };
  return {
    add: (delta, reason, model) => {
      begin(model);
      if (typeof reason === 'string') finishReason = reason;
      for (const [type, members] of TEXT_MEMBERS) {
        const text = members.map((member) => delta[member]).find((value) => typeof value === 'string' && value !== '');
        if (typeof text === 'string') texts.write(type, text);
      }
      for (const piece of objectsOf(delta['tool_calls'])) {
        if (!calls.has(piece)) texts.close();
        calls.write(piece);
      }
      return output.take();
    },
    end: ({ model, usage }) => {
      begin(model);
      texts.close();
      calls.close();
      const cut = CUTS[finishReason];
      const incomplete = cut === undefined ? {} : { status: 'incomplete', incomplete_details: { reason: cut } };
      const response = { ...envelope, model, status: 'completed', ...incomplete, output: output.items, usage: toResponseUsage(usage) };
      output.emit({ type: endTypeOf(response), response });
      return { events: output.take(), response };
    },
  };
}

/** The items of a response and the events that tell of them. */
interface Output {
  /** What stands at each place: as it began, or as it ended. */
  readonly items: readonly JsonObject[];
  readonly emit: (...events: readonly ResponseEvent[]) => void;
  /** The events since it was called last. */
  readonly take: () => readonly string[];
  readonly open: (item: JsonObject) => OpenItem;
  readonly close: (at: number, item: JsonObject) => void;
}

function createOutput(): Output {
  const items: JsonObject[] = [];
  let number = 0;
  let events: string[] = [];
  const emit = (...made: readonly ResponseEvent[]): void => {
    for (const event of made) events.push(JSON.stringify({ ...event, sequence_number: number++ }));
  };
  return {
    items,
    emit,
    take: () => {
      const made = events;
      events = [];
      return made;
    },
    open: (item) => {
      emit(itemAdded(item, items.length));
      return { item, at: items.push(item) - 1 };
    },
    close: (at, item) => {
      items[at] = item;
      emit({ type: 'response.output_item.done', output_index: at, item });
    },
  };
}

/** Messages and thoughts, of which one is open at a time, and of that one part. */
function createTexts(output: Output, newId: () => string) {
  let open: OpenText | null = null;
  const closePart = (text: OpenText): void => {
    if (text.part === null) return;
    const whole = wholePart(text.part);
    output.emit(...partDone(whole, text.part.place));
    text.parts.push(whole);
    text.part = null;
  };
  const close = (): void => {
    if (open === null) return;
    closePart(open);
    output.close(open.at, { ...open.item, content: open.parts, status: 'completed' });
    open = null;
  };
  const openFor = (kind: 'reasoning' | 'message'): OpenText => {
    if (open?.item['type'] === kind) return open;
    close();
    const item = kind === 'reasoning' ? { id: `rs_${newId()}`, type: kind, summary: [], content: [] } : { id: `msg_${newId()}`, type: kind, role: 'assistant', content: [] };
    open = { ...output.open(item), parts: [], part: null };
    return open;
  };
  return {
    close,
    write: (type: PartType, text: string): void => {
      const item = openFor(type === 'reasoning_text' ? 'reasoning' : 'message');
      if (item.part?.type !== type) {
        closePart(item);
        item.part = { place: { item_id: item.item['id'] ?? '', output_index: item.at, content_index: item.parts.length }, type, text: '' };
        output.emit(partAdded(wholePart(item.part), item.part.place));
      }
      item.part.text += text;
      output.emit(partDelta({ type }, item.part.place, text));
    },
  };
}

/** Calls, which may be written side by side and end together. */
function createCalls(output: Output, newId: () => string) {
  const calls = new Map<JsonValue, OpenCall>();
  const keyOf = (piece: JsonObject): JsonValue => piece['index'] ?? piece['id'] ?? calls.size;
  const open = (piece: JsonObject, name: JsonValue): OpenCall => {
    const item = { id: `fc_${newId()}`, type: 'function_call', call_id: piece['id'] ?? `call_${newId()}`, name, arguments: '' };
    return { ...output.open(item), text: '' };
  };
  return {
    has: (piece: JsonObject): boolean => calls.has(keyOf(piece)),
    write: (piece: JsonObject): void => {
      const { name = '', arguments: args } = isJsonObject(piece['function']) ? piece['function'] : {};
      const key = keyOf(piece);
      const call = calls.get(key) ?? open(piece, name);
      calls.set(key, call);
      if (typeof args !== 'string' || args === '') return;
      call.text += args;
      output.emit({ type: 'response.function_call_arguments.delta', item_id: call.item['id'] ?? '', output_index: call.at, delta: args });
    },
    close: (): void => {
      for (const { item, at, text } of calls.values()) {
        output.emit({ type: 'response.function_call_arguments.done', item_id: item['id'] ?? '', output_index: at, name: item['name'] ?? '', arguments: text });
        output.close(at, { ...item, arguments: text, status: 'completed' });
      }
      calls.clear();
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
