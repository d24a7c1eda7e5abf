import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';
import type { JsonPath } from './walk-json.ts';

/** One text of a streamed answer: what all its pieces have in common. */
export interface Channel {
  readonly id: string;
  /** Whose end ends it: a choice, or an item of a response. */
  readonly owner: string;
  /** Members from the chunk, choice or delta down to the text, to write a chunk with the rest of it. */
  readonly where: Where;
  /** Arguments of a call: JSON in a text. */
  readonly isArguments: boolean;
  /** What the model answers, rather than thinks, refuses or asks of a tool. */
  readonly isAnswer: boolean;
  /** This chunk holds its last piece. */
  readonly isEnded: boolean;
}

type Where =
  | { readonly kind: 'event' }
  | { readonly kind: 'completion'; readonly choice: number }
  | { readonly kind: 'chat'; readonly choice: number; readonly field: string }
  | { readonly kind: 'function'; readonly choice: number }
  | { readonly kind: 'tool'; readonly choice: number; readonly call: number; readonly member: string; readonly field: string };

/** The text at this path, if it is a piece of one that goes on in other chunks. */
export function channelOf(chunk: JsonObject, path: JsonPath): Channel | null {
  if (path[0] === 'delta' && path.length === 1 && typeof chunk['type'] === 'string') return eventChannel(chunk, chunk['type']);
  const [root, at, ...rest] = path;
  if (root !== 'choices' || typeof at !== 'number') return null;
  const choice = itemAt(chunk['choices'], at);
  if (choice === null) return null;
  const index = indexOf(choice, at);
  const where = placeInChoice(choice, index, rest);
  if (where === null) return null;
  const isArguments = where.kind === 'function' || (where.kind === 'tool' && where.field === 'arguments');
  const isAnswer = where.kind === 'completion' || (where.kind === 'chat' && where.field === 'content');
  return { id: `${index} ${rest.map((step, n) => (typeof step === 'number' && where.kind === 'tool' && n === 2 ? where.call : step)).join('.')}`, owner: String(index), where, isArguments, isAnswer, isEnded: isFinished(choice) };
}

function placeInChoice(choice: JsonObject, index: number, path: JsonPath): Where | null {
  if (path.length === 1 && path[0] === 'text') return { kind: 'completion', choice: index };
  const [delta, field, at, member, last] = path;
  if (delta !== 'delta' || typeof field !== 'string') return null;
  if (path.length === 2) return field === 'role' ? null : { kind: 'chat', choice: index, field };
  if (path.length === 3 && field === 'function_call' && at === 'arguments') return { kind: 'function', choice: index };
  if (path.length !== 5 || field !== 'tool_calls' || typeof at !== 'number') return null;
  const isText = (member === 'function' && last === 'arguments') || (member === 'custom' && last === 'input');
  if (!isText) return null;
  const calls = isJsonObject(choice['delta']) ? choice['delta']['tool_calls'] : undefined;
  return { kind: 'tool', choice: index, call: indexOf(itemAt(calls, at) ?? {}, at), member, field: last };
}

function eventChannel(event: JsonObject, type: string): Channel {
  const numbers = ['item_id', 'output_index', 'content_index', 'summary_index'].map((key) => (typeof event[key] === 'string' || typeof event[key] === 'number' ? event[key] : ''));
  return {
    id: [type, ...numbers].join(' '),
    owner: ownerOf(event),
    where: { kind: 'event' },
    isArguments: type.endsWith('_arguments.delta') || type.endsWith('_call.arguments.delta'),
    isAnswer: type === 'response.output_text.delta',
    isEnded: false,
  };
}

/** Which texts are over before this chunk is passed on; null: none. */
export function endedBy(chunk: JsonObject): ((channel: Channel) => boolean) | null {
  const { type, choices } = chunk;
  if (typeof type === 'string') {
    if (type === 'error' || /^response\.(?:completed|incomplete|failed|cancelled)$/.test(type)) return () => true;
    const owner = ownerOf(chunk);
    return type.endsWith('.done') ? (channel) => channel.owner === owner : null;
  }
  const ended = new Set((Array.isArray(choices) ? (choices as readonly JsonValue[]) : []).flatMap((choice, at) => (isJsonObject(choice) && isFinished(choice) ? [String(indexOf(choice, at))] : [])));
  return ended.size === 0 ? null : (channel) => ended.has(channel.owner);
}

/** A chunk like the given one that carries this text and nothing else. */
export function toRemainder(chunk: JsonObject, { where }: Channel, text: string): JsonObject {
  // An event keeps its sequence number: it is a part of the same event.
  if (where.kind === 'event') return { ...chunk, delta: text };
  const choice = { index: where.choice, ...(where.kind === 'completion' ? { text } : { delta: toDelta(where, text) }), logprobs: null, finish_reason: null };
  return { ...envelopeOf(chunk), choices: [choice] };
}

function toDelta(where: Exclude<Where, { kind: 'event' | 'completion' }>, text: string): JsonObject {
  switch (where.kind) {
    case 'chat':
      return { [where.field]: text };
    case 'function':
      return { function_call: { arguments: text } };
    case 'tool':
      return { tool_calls: [{ index: where.call, [where.member]: { [where.field]: text } }] };
  }
}

/** What is the same on every chunk, and the usage that is null on all but the last where it was asked for. */
function envelopeOf(chunk: JsonObject): JsonObject {
  const shared = ['id', 'object', 'created', 'model', 'service_tier', 'system_fingerprint'].flatMap((key) => (chunk[key] === undefined ? [] : [[key, chunk[key]]]));
  return { ...(Object.fromEntries(shared) as JsonObject), ...(chunk['usage'] === null ? { usage: null } : {}) };
}

/** Of events about an item itself the id is the item's. */
function ownerOf(event: JsonObject): string {
  const { item_id: id, item } = event;
  if (typeof id === 'string') return id;
  return isJsonObject(item) && typeof item['id'] === 'string' ? item['id'] : '';
}

const isFinished = (choice: JsonObject): boolean => typeof choice['finish_reason'] === 'string';

const indexOf = (item: JsonObject, at: number): number => (typeof item['index'] === 'number' ? item['index'] : at);

function itemAt(list: JsonValue | undefined, at: number): JsonObject | null {
  const item: unknown = Array.isArray(list) ? list[at] : undefined;
  return isJsonObject(item) ? item : null;
}
