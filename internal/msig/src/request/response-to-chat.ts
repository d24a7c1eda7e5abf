import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { wrong } from './fields.ts';
import type { ModelRequest } from './model-request.ts';
import { replaceMembers } from './replace-members.ts';
import type { Members } from './upstream-body.ts';

/** Members that chats have no word for and that change nothing about the answer's text. */
const DROPPED = ['input', 'instructions', 'text', 'reasoning', 'max_output_tokens', 'max_tool_calls', 'include', 'truncation', 'background', 'store', 'metadata', 'previous_response_id', 'conversation', 'prompt', 'top_logprobs'];

/**
 * A request for a response as the chat that says the same, for servers that have chats only. It is
 * stateless: what would need an earlier response is refused, and so are tools that only the API's
 * own servers have. Other members go on as they are. Errors: `invalid_input` with the field.
 */
export function toChatOfResponse(request: ModelRequest): ModelRequest {
  const { body, isStream } = request;
  refuseState(body);
  const members = { ...messagesOf(body), ...toolsOf(body), ...formatOf(body), ...(isStream ? { stream_options: { include_usage: true } } : {}) };
  const dropped = Object.fromEntries(DROPPED.map((name) => [name, null]));
  const written: Members = { ...dropped, tools: null, tool_choice: null, stream_options: null, ...Object.fromEntries(Object.entries(members).map(([name, value]) => [name, JSON.stringify(value)])) };
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !Object.hasOwn(written, name)));
  return {
    kind: 'chat',
    text: replaceMembers(request.text, written),
    body: { ...rest, ...members },
    model: request.model,
    isStream,
    wantsUsage: isStream,
    wantsUsageOnEveryChunk: false,
    choices: 1,
    maxTokens: request.maxTokens,
  };
}

const STATEFUL = ['previous_response_id', 'conversation', 'prompt'] as const;

function refuseState(body: JsonObject): void {
  for (const name of STATEFUL) {
    if (body[name] === undefined || body[name] === null) continue;
    throw wrong(name, `'${name}' cannot be used with this model: its server keeps no responses. Send the whole conversation as 'input'.`);
  }
}

function messagesOf(body: JsonObject): { readonly messages: readonly JsonObject[] } {
  const { instructions, input } = body;
  const first = typeof instructions === 'string' && instructions !== '' ? [{ role: 'system', content: instructions }] : [];
  const items: readonly JsonValue[] = typeof input === 'string' ? [{ role: 'user', content: input }] : Array.isArray(input) ? (input as readonly JsonValue[]) : [];
  const messages: JsonObject[] = [...first];
  // Of the last message, once it has some: they are added to, not copied, for there may be thousands.
  let calls: JsonObject[] | null = null;
  for (const [at, item] of items.entries()) {
    const read = readItem(item, `input[${at}]`);
    if (read.kind === 'call') {
      calls ??= openCalls(messages);
      calls.push(read.call);
    } else if (read.kind === 'message') {
      calls = null;
      messages.push(read.message);
    }
  }
  if (messages.length === first.length) throw wrong('input', '\'input\' must hold at least one message.');
  return { messages };
}

/** The list for calls in the last message, or in a new one where the last is not the assistant's. */
function openCalls(messages: JsonObject[]): JsonObject[] {
  const calls: JsonObject[] = [];
  const last = messages.at(-1);
  const speaking = last?.['role'] === 'assistant' ? messages.pop() : undefined;
  messages.push({ ...(speaking ?? { role: 'assistant', content: null }), tool_calls: calls });
  return calls;
}

type Item = { readonly kind: 'message'; readonly message: JsonObject } | { readonly kind: 'call'; readonly call: JsonObject } | { readonly kind: 'none' };

function readItem(item: JsonValue, field: string): Item {
  if (!isJsonObject(item)) throw wrong(field, `'${field}' must be an object.`);
  const type = item['type'] ?? 'message';
  switch (type) {
    case 'message':
      return { kind: 'message', message: { role: roleOf(item, field), content: contentOf(item['content'], `${field}.content`) } };
    case 'function_call':
      return { kind: 'call', call: { id: item['call_id'] ?? item['id'] ?? '', type: 'function', function: { name: item['name'] ?? '', arguments: item['arguments'] ?? '{}' } } };
    case 'function_call_output':
      return { kind: 'message', message: { role: 'tool', tool_call_id: item['call_id'] ?? '', content: contentOf(item['output'], `${field}.output`) } };
    case 'reasoning':
      // Thoughts of an earlier answer: chats do not take them back.
      return { kind: 'none' };
    default:
      throw wrong(`${field}.type`, `'${field}.type' is nothing that this model's server knows. Send messages, function calls and their outputs.`);
  }
}

function roleOf(item: JsonObject, field: string): string {
  const role = item['role'];
  if (typeof role === 'string' && ['user', 'assistant', 'system', 'developer'].includes(role)) return role;
  throw wrong(`${field}.role`, `'${field}.role' must be user, assistant, system or developer.`);
}

/** A text where there is nothing else, for many servers take no lists. */
function contentOf(content: JsonValue | undefined, field: string): JsonValue {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw wrong(field, `'${field}' must be a text or a list of parts.`);
  const parts = content.map((part: JsonValue, at) => partOf(part, `${field}[${at}]`));
  return parts.every(({ type, text }) => type === 'text' && typeof text === 'string') ? parts.map(({ text }) => text as string).join('') : parts;
}

function partOf(part: JsonValue, field: string): JsonObject {
  if (!isJsonObject(part)) throw wrong(field, `'${field}' must be an object.`);
  switch (part['type']) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: part['text'] ?? '' };
    case 'refusal':
      return { type: 'text', text: part['refusal'] ?? '' };
    case 'input_image': {
      const { image_url: url, detail } = part;
      if (typeof url !== 'string') throw wrong(`${field}.image_url`, `'${field}.image_url' must be the address of the image, or a data URL.`);
      return { type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } };
    }
    case 'input_audio':
      return { type: 'input_audio', input_audio: part['input_audio'] ?? {} };
    case 'input_file': {
      const { type: _type, ...file } = part;
      return { type: 'file', file };
    }
    default:
      throw wrong(`${field}.type`, `'${field}.type' must be input_text, output_text, refusal, input_image, input_audio or input_file.`);
  }
}

function toolsOf(body: JsonObject): JsonObject {
  const { tools, tool_choice: choice } = body;
  const all = (Array.isArray(tools) ? tools : []).map((tool: JsonValue, at): JsonObject => {
    if (!isJsonObject(tool) || tool['type'] !== 'function') throw wrong(`tools[${at}].type`, `'tools[${at}].type' must be "function": this model's server has no tools of its own.`);
    const { type, ...about } = tool;
    return { type, function: about };
  });
  return { ...(all.length === 0 ? {} : { tools: all }), ...(choice === undefined || all.length === 0 ? {} : { tool_choice: choiceOf(choice) }) };
}

function choiceOf(choice: JsonValue): JsonValue {
  if (!isJsonObject(choice)) return choice;
  if (choice['type'] === 'function') return { type: 'function', function: { name: choice['name'] ?? '' } };
  throw wrong('tool_choice', '\'tool_choice\' must be "none", "auto", "required" or a function.');
}

function formatOf({ text, reasoning }: JsonObject): JsonObject {
  const { format, verbosity } = isJsonObject(text) ? text : {};
  const effort = isJsonObject(reasoning) ? reasoning['effort'] : undefined;
  return {
    ...(isJsonObject(format) && format['type'] !== 'text' ? { response_format: responseFormatOf(format) } : {}),
    ...(verbosity === undefined || verbosity === null ? {} : { verbosity }),
    ...(effort === undefined || effort === null ? {} : { reasoning_effort: effort }),
  };
}

function responseFormatOf(format: JsonObject): JsonObject {
  if (format['type'] !== 'json_schema') return format;
  const { type, ...about } = format;
  return { type, json_schema: about };
}
