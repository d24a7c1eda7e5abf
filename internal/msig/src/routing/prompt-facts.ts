import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { CHARS_PER_TOKEN, latinLength } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';

/** What routing wants to know of a request, from one walk through it. Tokens are estimated from lengths. */
export interface PromptFacts {
  /** All texts together: what is paid for. */
  readonly promptTokens: number;
  /** What must fit into a context window at once: less than `promptTokens` where several texts are embedded or ranked. */
  readonly longestTokens: number;
  /** Messages of the user and the assistant. */
  readonly turns: number;
  /** Has an image, a sound or a file. */
  readonly hasMedia: boolean;
  /** Offers tools, or tells of calls. */
  readonly hasTools: boolean;
  /** Asks for an answer that follows a JSON Schema. */
  readonly hasSchema: boolean;
}

interface Tally {
  /** As `latinLength` counts them. */
  chars: number;
  /** Of inputs that are given as token numbers. */
  tokens: number;
  turns: number;
  hasMedia: boolean;
  hasTools: boolean;
}

const TURN_ROLES: readonly unknown[] = ['user', 'assistant'];
/** A tool's description is written as JSON only once it is sent: its share of the prompt is guessed. */
const TOKENS_PER_TOOL = 120;

export function promptFactsOf(request: ModelRequest): PromptFacts {
  const { body, kind } = request;
  const tools = body['tools'] ?? body['functions'];
  const toolCount = Array.isArray(tools) ? tools.length : 0;
  const tally: Tally = { chars: 0, tokens: toolCount * TOKENS_PER_TOOL, turns: 0, hasMedia: false, hasTools: toolCount > 0 };
  const longestTokens = kind === 'embeddings' || kind === 'rerank' ? tallyInputs(tally, body) : null;
  if (kind === 'chat') addMessages(tally, body['messages']);
  if (kind === 'completions') addPrompts(tally, body['prompt']);
  if (kind === 'responses') {
    addText(tally, body['instructions']);
    if (typeof body['input'] === 'string') tally.turns += 1;
    addText(tally, body['input']);
    addMessages(tally, body['input']);
  }
  const promptTokens = tokensOf(tally);
  const { turns, hasMedia, hasTools } = tally;
  return { promptTokens, longestTokens: longestTokens ?? promptTokens, turns, hasMedia, hasTools, hasSchema: asksForSchema(body) };
}

function tokensOf({ chars, tokens }: Tally): number {
  return Math.ceil(chars / CHARS_PER_TOKEN) + tokens;
}

function addText(tally: Tally, text: JsonValue | undefined): void {
  if (typeof text === 'string') tally.chars += latinLength(text);
}

/** Chat's messages, or the items of a response's input. */
function addMessages(tally: Tally, messages: JsonValue | undefined): void {
  if (!Array.isArray(messages)) return;
  for (const message of messages) {
    if (!isJsonObject(message)) continue;
    const { role, content, tool_calls: calls, type } = message;
    if (TURN_ROLES.includes(role)) tally.turns += 1;
    if (role === 'tool' || role === 'function' || type === 'function_call' || type === 'function_call_output') tally.hasTools = true;
    addContent(tally, content);
    addText(tally, message['arguments']);
    addText(tally, message['output']);
    if (Array.isArray(calls)) addCalls(tally, calls);
  }
}

function addContent(tally: Tally, content: JsonValue | undefined): void {
  if (!Array.isArray(content)) return addText(tally, content);
  for (const part of content) {
    if (!isJsonObject(part)) continue;
    if (typeof part['text'] === 'string') tally.chars += latinLength(part['text']);
    else if (part['type'] !== 'refusal') tally.hasMedia = true;
  }
}

function addCalls(tally: Tally, calls: readonly JsonValue[]): void {
  for (const call of calls) {
    const about = isJsonObject(call) ? call['function'] : undefined;
    tally.hasTools = true;
    if (!isJsonObject(about)) continue;
    addText(tally, about['name']);
    addText(tally, about['arguments']);
  }
}

/** A text, several, the numbers of its tokens, or several of those. */
function addPrompts(tally: Tally, prompt: JsonValue | undefined): void {
  tally.turns += 1;
  for (const text of listOf(prompt)) addInput(tally, text);
}

function addInput(tally: Tally, input: JsonValue | undefined): void {
  if (Array.isArray(input)) tally.tokens += input.length;
  else if (isJsonObject(input)) addText(tally, input['text']);
  else addText(tally, input);
}

/** Each text is embedded, or ranked beside the query, by itself. Returns the tokens of the longest. */
function tallyInputs(tally: Tally, { input, documents, query }: JsonObject): number {
  const chars = typeof query === 'string' ? latinLength(query) : 0;
  let longest = 0;
  for (const text of listOf(input ?? documents)) {
    const own: Tally = { chars, tokens: 0, turns: 0, hasMedia: false, hasTools: false };
    addInput(own, text);
    tally.chars += own.chars;
    tally.tokens += own.tokens;
    longest = Math.max(longest, tokensOf(own));
  }
  tally.turns += 1;
  return longest;
}

function listOf(input: JsonValue | undefined): readonly JsonValue[] {
  if (!Array.isArray(input)) return input === undefined ? [] : [input];
  return typeof input[0] === 'number' ? [input] : input;
}

/** `response_format` of chat, `text.format` of responses. */
function asksForSchema({ response_format: format, text }: JsonObject): boolean {
  const asked = format ?? (isJsonObject(text) ? text['format'] : undefined);
  return isJsonObject(asked) && asked['type'] === 'json_schema';
}
