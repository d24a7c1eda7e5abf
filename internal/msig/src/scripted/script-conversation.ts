import { isJsonObject } from '@openeaap/kernel';
import type { ChatMessage, ChatRequest, JsonObject, JsonValue } from '@openeaap/kernel';
import type { RE2JS } from 're2js';
import { afterPreamble, asksForReactText, readQuestion, readReactEntries } from './react-text.ts';

/** What a script's rules look at: a conversation, read. */
export interface ScriptConversation {
  /** How tools are called: by the API, in ReAct text, or not at all. */
  readonly form: 'tools' | 'text' | 'plain';
  /** What was asked: the first message of the user. */
  readonly input: string;
  /** `zh` when the input holds a Han character. */
  readonly language: Language;
  readonly variables: ReadonlyMap<string, string>;
  readonly offersTool: (name: string) => boolean;
  /** The newest result of each tool: an object with `output` or `error`. */
  readonly results: ReadonlyMap<string, JsonObject>;
  /** Tool calls so far, answered or not. */
  readonly callsMade: number;
}

export type Language = 'zh' | 'en';

/** How a variable is found in the input: by a key of its JSON, else by a pattern in its text. */
export interface ScriptVariable {
  readonly name: string;
  /** Looked for at any depth, in this order. */
  readonly keys: readonly string[];
  /** Patterns in the text; the first group is the value, or the whole match. */
  readonly patterns: readonly RE2JS[];
  /** What the value of a key must hold to count; null: anything. */
  readonly accept: RE2JS | null;
}

export function readConversation(request: ChatRequest, variables: readonly ScriptVariable[]): ScriptConversation {
  const form = formOf(request);
  const firstUser = request.messages.find((message) => message.role === 'user')?.content ?? '';
  const input = form === 'text' ? readQuestion(firstUser) : firstUser;
  const { results, callsMade } = form === 'text' ? readTextResults(request.messages) : readToolResults(request.messages);
  const prompt = request.messages.filter((message) => message.role === 'system' || message.role === 'user').map((message) => message.content).join('\n');
  return {
    form,
    input,
    language: /\p{Script=Han}/u.test(input) ? 'zh' : 'en',
    variables: extractVariables(input, variables),
    offersTool: (name) => (form === 'text' ? prompt.includes(name) : (request.tools ?? []).some((tool) => tool.name === name)),
    results,
    callsMade,
  };
}

/** LangChain's agents put the whole prompt into a message of the user, so both are looked at. */
function formOf(request: ChatRequest): ScriptConversation['form'] {
  if (request.tools !== undefined && request.tools.length > 0) return 'tools';
  const first = request.messages.find((message) => message.role === 'user');
  const prompts = request.messages.filter((message) => message.role === 'system' || message === first);
  return prompts.some((message) => asksForReactText(message.content)) ? 'text' : 'plain';
}

interface Results {
  readonly results: ReadonlyMap<string, JsonObject>;
  readonly callsMade: number;
}

function readToolResults(messages: readonly ChatMessage[]): Results {
  const toolOfCall = new Map<string, string>();
  const results = new Map<string, JsonObject>();
  for (const message of messages) {
    if (message.role === 'assistant') for (const call of message.toolCalls ?? []) toolOfCall.set(call.id, call.name);
    if (message.role !== 'tool') continue;
    const tool = toolOfCall.get(message.toolCallId);
    if (tool !== undefined) results.set(tool, toResult(message.content));
  }
  return { results, callsMade: toolOfCall.size };
}

function readTextResults(messages: readonly ChatMessage[]): Results {
  const results = new Map<string, JsonObject>();
  let callsMade = 0;
  let pending = '';
  for (const message of messages) {
    if (message.role === 'system') continue;
    for (const entry of readReactEntries(afterPreamble(message.content))) {
      if (entry.kind === 'action') {
        pending = entry.text;
        callsMade += 1;
      } else if (pending !== '') results.set(pending, toResult(entry.text));
    }
  }
  return { results, callsMade };
}

/** A tool's answer as the platform words it; anything else is taken for the output itself. */
function toResult(text: string): JsonObject {
  const value = parseJson(text);
  if (isJsonObject(value) && ('output' in value || 'error' in value)) return value;
  return { output: value ?? text };
}

function extractVariables(input: string, variables: readonly ScriptVariable[]): ReadonlyMap<string, string> {
  const json = parseJson(input.slice(input.indexOf('{'), input.lastIndexOf('}') + 1));
  const found = new Map<string, string>();
  for (const variable of variables) {
    const value = findByKey(json, variable) ?? findByPattern(input, variable);
    if (value !== null) found.set(variable.name, value);
  }
  return found;
}

function findByKey(json: JsonValue | undefined, variable: ScriptVariable): string | null {
  for (const key of variable.keys) {
    for (const value of valuesOf(json, key)) {
      const text = typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
      if (text !== '' && (variable.accept === null || variable.accept.matcher(text).find())) return text;
    }
  }
  return null;
}

/** Most containers looked into; an alert is small, and a hostile one must not cost more. */
const CONTAINERS_MAX = 2_000;

/** The values of `key`, nearest to the root first. */
function valuesOf(root: JsonValue | undefined, key: string): readonly JsonValue[] {
  const values: JsonValue[] = [];
  const queue: (JsonValue | undefined)[] = [root];
  for (let next = 0; next < queue.length && next < CONTAINERS_MAX; next += 1) {
    const value = queue[next];
    if (Array.isArray(value)) queue.push(...(value as readonly JsonValue[]).slice(0, CONTAINERS_MAX));
    if (!isJsonObject(value)) continue;
    const own = Object.hasOwn(value, key) ? value[key] : undefined;
    if (own !== undefined) values.push(own);
    queue.push(...Object.values(value).filter((each) => typeof each === 'object').slice(0, CONTAINERS_MAX));
  }
  return values;
}

function findByPattern(input: string, variable: ScriptVariable): string | null {
  for (const pattern of variable.patterns) {
    const matcher = pattern.matcher(input);
    if (matcher.find()) return (pattern.groupCount() > 0 ? matcher.group(1) : null) ?? matcher.group();
  }
  return null;
}

function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/**
 * The value at a path: `input`, `language`, `result.TOOL.output.key.0.key`, else a variable.
 * Undefined when there is none.
 */
export function lookUp(conversation: ScriptConversation, path: string): JsonValue | undefined {
  const [head = '', ...rest] = path.split('.');
  if (head === 'input') return conversation.input;
  if (head === 'language') return conversation.language;
  if (head !== 'result') return conversation.variables.get(head);
  let value: JsonValue | undefined = conversation.results.get(rest[0] ?? '');
  for (const key of rest.slice(1)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}
