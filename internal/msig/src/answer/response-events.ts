import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import { objectsOf } from './completion-form.ts';

/** An event of `/v1/responses` without its number; `type` stands first, so that whoever frames it need not parse it. */
export interface ResponseEvent extends JsonObject {
  readonly type: string;
}

/** A whole response as the events of a stream that says the same, in the order of the API. */
export function toResponseEvents(response: JsonObject): readonly ResponseEvent[] {
  const begun = { ...response, status: 'in_progress', output: [], usage: null, incomplete_details: null };
  const items = objectsOf(response['output']);
  return [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    ...items.flatMap((item, at) => itemEvents(item, at)),
    { type: endTypeOf(response), response },
  ];
}

export function endTypeOf(response: JsonObject): string {
  const status = response['status'];
  return status === 'incomplete' || status === 'failed' ? `response.${status}` : 'response.completed';
}

function itemEvents(item: JsonObject, at: number): readonly ResponseEvent[] {
  return [itemAdded(item, at), ...innerEvents(item, at), { type: 'response.output_item.done', output_index: at, item }];
}

/** As it stands before anything of it was written. */
export function itemAdded(item: JsonObject, at: number): ResponseEvent {
  const empty = item['type'] === 'function_call' ? { arguments: '' } : item['content'] === undefined ? {} : { content: [] };
  return { type: 'response.output_item.added', output_index: at, item: { ...item, ...empty, status: 'in_progress' } };
}

function innerEvents(item: JsonObject, at: number): readonly ResponseEvent[] {
  const place = { item_id: item['id'] ?? '', output_index: at };
  if (item['type'] === 'function_call') {
    const { arguments: args = '', name = '' } = item;
    return [{ type: 'response.function_call_arguments.delta', ...place, delta: args }, { type: 'response.function_call_arguments.done', ...place, name, arguments: args }];
  }
  return objectsOf(item['content']).flatMap((part, index) => partEvents(part, { ...place, content_index: index }));
}

export interface PartPlace extends JsonObject {
  readonly item_id: JsonObject[string];
  readonly output_index: number;
  readonly content_index: number;
}

/** The member of a part that holds its text, and what its events are called. */
interface PartKind {
  readonly member: string;
  readonly event: string;
}

const PART_KINDS: Readonly<Record<string, PartKind>> = {
  output_text: { member: 'text', event: 'response.output_text' },
  refusal: { member: 'refusal', event: 'response.refusal' },
  reasoning_text: { member: 'text', event: 'response.reasoning_text' },
};

const kindOf = ({ type }: JsonObject): PartKind | undefined => (typeof type === 'string' ? PART_KINDS[type] : undefined);

function partEvents(part: JsonObject, place: PartPlace): readonly ResponseEvent[] {
  const kind = kindOf(part);
  if (kind === undefined) return [{ type: 'response.content_part.added', ...place, part }, { type: 'response.content_part.done', ...place, part }];
  const text = part[kind.member];
  return [partAdded(part, place), partDelta(part, place, typeof text === 'string' ? text : ''), ...partDone(part, place)];
}

export function partAdded(part: JsonObject, place: PartPlace): ResponseEvent {
  const kind = kindOf(part);
  return { type: 'response.content_part.added', ...place, part: kind === undefined ? part : { ...part, [kind.member]: '' } };
}

export function partDelta(part: JsonObject, place: PartPlace, delta: string): ResponseEvent {
  const logprobs = part['type'] === 'output_text' ? { logprobs: [] } : {};
  return { type: `${kindOf(part)?.event ?? 'response.output_text'}.delta`, ...place, delta, ...logprobs };
}

export function partDone(part: JsonObject, place: PartPlace): readonly ResponseEvent[] {
  const kind = kindOf(part);
  if (kind === undefined) return [{ type: 'response.content_part.done', ...place, part }];
  const logprobs = part['type'] === 'output_text' ? { logprobs: [] } : {};
  return [{ type: `${kind.event}.done`, ...place, [kind.member]: part[kind.member] ?? '', ...logprobs }, { type: 'response.content_part.done', ...place, part }];
}

/** In the words that chats have for it. */
export function finishReasonOf(response: JsonObject): string {
  const { status, incomplete_details: details } = response;
  if (status === 'failed' || status === 'cancelled') return status;
  if (status === 'incomplete') {
    const reason = isJsonObject(details) ? details['reason'] : null;
    return reason === 'max_output_tokens' ? 'length' : typeof reason === 'string' ? reason : 'incomplete';
  }
  return objectsOf(response['output']).some(({ type }) => type === 'function_call' || type === 'custom_tool_call') ? 'tool_calls' : 'stop';
}
