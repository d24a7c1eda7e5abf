import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { CHOICES_MAX, INPUTS_MAX, readCount, readFlag, readModel, tightest, wrong } from './fields.ts';
import type { ModelRequest, RequestKind } from './model-request.ts';

const MESSAGES_MAX = 10_000;
/** JSON Schemas of tools are the deepest that honest bodies have. */
const DEPTH_LEVELS = 200;

type Fields = Omit<ModelRequest, 'kind' | 'text' | 'body' | 'model'>;

/** Errors: `invalid_input`; `details.field` is the field of the API, the message says the cure. */
export function parseRequest(kind: RequestKind, text: string): ModelRequest {
  const body = parseObject(text, NEEDS[kind]);
  return { kind, text, body, model: readModel(body), ...READERS[kind](body) };
}

/** What every body of the kind has besides its model. */
const NEEDS: Readonly<Record<RequestKind, string>> = { chat: 'messages', completions: 'prompt', embeddings: 'input', rerank: 'query" and "documents', responses: 'input' };

const READERS: Readonly<Record<RequestKind, (body: JsonObject) => Fields>> = {
  chat: (body) => {
    readMessages(body);
    return {
      ...readStream(body),
      choices: readCount(body, 'n', { max: CHOICES_MAX }) ?? 1,
      maxTokens: tightest(readCount(body, 'max_tokens'), readCount(body, 'max_completion_tokens')),
    };
  },
  completions: (body) => {
    const prompts = body['prompt_embeds'] === undefined ? readInputs(body, 'prompt') : 1;
    const choices = Math.max(readCount(body, 'n', { max: CHOICES_MAX }) ?? 1, readCount(body, 'best_of', { max: CHOICES_MAX }) ?? 1);
    // None at all to score a prompt, with `echo` and `logprobs`.
    return { ...readStream(body), choices: choices * prompts, maxTokens: readCount(body, 'max_tokens', { min: 0 }) };
  },
  embeddings: (body) => {
    // vLLM embeds conversations too.
    if (body['input'] === undefined && body['messages'] !== undefined) readMessages(body);
    else readInputs(body, 'input');
    const format = body['encoding_format'] ?? 'float';
    if (format !== 'float' && format !== 'base64') throw wrong('encoding_format', '\'encoding_format\' must be "float" or "base64".');
    return readUnwritten(body);
  },
  rerank: (body) => {
    const query = body['query'];
    if ((typeof query !== 'string' && !isJsonObject(query)) || query === '') throw wrong('query', '\'query\' must be the text that the documents are compared with.');
    readDocuments(body);
    const top = body['top_n'] ?? 0;
    if (typeof top !== 'number' || !Number.isInteger(top) || top < 0) throw wrong('top_n', '\'top_n\' must be a whole number; leave it out for all documents.');
    return readUnwritten(body);
  },
  responses: (body) => {
    const input = body['input'];
    const isTold = typeof input === 'string' || (Array.isArray(input) && input.length <= MESSAGES_MAX);
    // A stored prompt or an earlier response may say everything.
    const isStored = input === undefined && ['prompt', 'previous_response_id', 'conversation'].some((name) => body[name] !== undefined && body[name] !== null);
    if (!isTold && !isStored) throw wrong('input', `'input' must be a text or a list of at most ${MESSAGES_MAX} items.`);
    if (readFlag(body, 'background')) throw wrong('background', '\'background\' must be false: this gateway has no place to fetch a response from later. Use \'stream\' for long answers.');
    return { isStream: readFlag(body, 'stream'), wantsUsage: false, wantsUsageOnEveryChunk: false, choices: 1, maxTokens: readCount(body, 'max_output_tokens') };
  },
};

function parseObject(text: string, needs: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's own message repeats a piece of the body; only where is kept.
    const at = cause instanceof Error ? /position \d+/.exec(cause.message)?.[0] : undefined;
    throw wrong('', `The body is not valid JSON${at === undefined ? '' : ` (${at})`}. Send one JSON object with "model" and "${needs}".`, cause);
  }
  if (isDeeper(value, DEPTH_LEVELS)) throw wrong('', `The body is nested deeper than ${DEPTH_LEVELS} levels. Flatten it.`);
  if (!isJsonObject(value)) throw wrong('', `The body must be a JSON object with "model" and "${needs}".`);
  return value;
}

/** Recursion that its own question bounds. Whoever writes a deeper body as JSON again would overflow. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((child) => isDeeper(child, levels - 1));
  for (const key in value) if (isDeeper((value as JsonObject)[key], levels - 1)) return true;
  return false;
}

function readMessages(body: JsonObject): void {
  const messages = body['messages'];
  if (messages === undefined) throw wrong('messages', 'Missing required parameter: \'messages\'.');
  if (!Array.isArray(messages) || messages.length === 0) throw wrong('messages', '\'messages\' must be an array with at least one message.');
  if (messages.length > MESSAGES_MAX) throw wrong('messages', `'messages' has ${messages.length} messages; at most ${MESSAGES_MAX} are taken.`);
  messages.forEach((message, index) => {
    if (!isJsonObject(message)) throw wrong(`messages[${index}]`, `'messages[${index}]' must be an object with "role" and "content".`);
    const role = message['role'];
    if (typeof role !== 'string' || role === '') throw wrong(`messages[${index}].role`, `'messages[${index}].role' must be a string, such as "user".`);
  });
}

/** A text, a list of tokens, or a list of either; returns how many there are. */
function readInputs(body: JsonObject, name: string): number {
  const value = body[name];
  if (value === undefined) throw wrong(name, `Missing required parameter: '${name}'.`);
  if (typeof value === 'string') return 1;
  if (!Array.isArray(value) || value.length === 0) throw wrong(name, `'${name}' must be a text, a list of texts or a list of tokens.`);
  if (value.every(isToken)) return 1;
  if (value.length > INPUTS_MAX) throw wrong(name, `'${name}' has ${value.length} entries; at most ${INPUTS_MAX} are taken.`);
  value.forEach((each: JsonValue, index) => {
    if (typeof each === 'string' || (Array.isArray(each) && each.length > 0 && each.every(isToken))) return;
    throw wrong(`${name}[${index}]`, `'${name}[${index}]' must be a text or a list of tokens.`);
  });
  return value.length;
}

const isToken = (value: JsonValue): boolean => typeof value === 'number';

function readDocuments(body: JsonObject): void {
  const documents = body['documents'];
  // vLLM takes one object with the contents of several.
  if (isJsonObject(documents)) return;
  if (!Array.isArray(documents) || documents.length === 0) throw wrong('documents', '\'documents\' must be a list with at least one document.');
  if (documents.length > INPUTS_MAX) throw wrong('documents', `'documents' has ${documents.length} documents; at most ${INPUTS_MAX} are taken.`);
  documents.forEach((document: JsonValue, index) => {
    if (typeof document !== 'string' && !isJsonObject(document)) throw wrong(`documents[${index}]`, `'documents[${index}]' must be a text or an object with "text".`);
  });
}

function readStream(body: JsonObject): Pick<Fields, 'isStream' | 'wantsUsage' | 'wantsUsageOnEveryChunk'> {
  const isStream = readFlag(body, 'stream');
  const options = body['stream_options'] ?? null;
  if (options === null) return { isStream, wantsUsage: false, wantsUsageOnEveryChunk: false };
  if (!isJsonObject(options)) throw wrong('stream_options', '\'stream_options\' must be an object.');
  if (!isStream) throw wrong('stream_options', '\'stream_options\' is only allowed when \'stream\' is true.');
  return { isStream, wantsUsage: readFlag(options, 'include_usage', 'stream_options.'), wantsUsageOnEveryChunk: options['continuous_usage_stats'] === true };
}

function readUnwritten(body: JsonObject): Fields {
  if (readFlag(body, 'stream')) throw wrong('stream', '\'stream\' must be false: this answer comes in one piece.');
  return { isStream: false, wantsUsage: false, wantsUsageOnEveryChunk: false, choices: 1, maxTokens: 0 };
}
