import { isJsonObject, PlatformError } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';
import type { ModelRequest, RequestKind } from './model-request.ts';

/** As the strict clients have it. */
const CHOICES_MAX = 128;
const MESSAGES_MAX = 10_000;
const MODEL_CHARS = 512;
/** JSON Schemas of tools are the deepest that honest bodies have. */
const DEPTH_LEVELS = 200;

/** Errors: `invalid_input`; `details.field` is the field of the API, the message says the cure. */
export function parseRequest(kind: RequestKind, text: string): ModelRequest {
  const body = parseObject(text);
  readMessages(body);
  const isStream = readFlag(body, 'stream');
  const options = readOptions(body, isStream);
  return {
    kind,
    text,
    body,
    model: readModel(body),
    isStream,
    wantsUsage: options !== null && readFlag(options, 'include_usage', 'stream_options.'),
    wantsUsageOnEveryChunk: options !== null && options['continuous_usage_stats'] === true,
    choices: readCount(body, 'n', CHOICES_MAX) ?? 1,
    maxTokens: tightest(readCount(body, 'max_tokens', Number.MAX_SAFE_INTEGER), readCount(body, 'max_completion_tokens', Number.MAX_SAFE_INTEGER)),
  };
}

function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's own message repeats a piece of the body; only where is kept.
    const at = cause instanceof Error ? /position \d+/.exec(cause.message)?.[0] : undefined;
    throw wrong('', `The body is not valid JSON${at === undefined ? '' : ` (${at})`}. Send one JSON object with "model" and "messages".`, cause);
  }
  refuseDepth(value);
  if (!isJsonObject(value)) throw wrong('', 'The body must be a JSON object with "model" and "messages".');
  return value;
}

/** Walks without recursion: the depth is what is being checked. Whoever writes such a body as JSON again would overflow. */
function refuseDepth(root: unknown): void {
  const rest: { readonly value: unknown; readonly depth: number }[] = [{ value: root, depth: 0 }];
  for (let item = rest.pop(); item !== undefined; item = rest.pop()) {
    const { value, depth } = item;
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= DEPTH_LEVELS) throw wrong('', `The body is nested deeper than ${DEPTH_LEVELS} levels. Flatten it.`);
    for (const child of Object.values(value)) rest.push({ value: child, depth: depth + 1 });
  }
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

function readModel(body: JsonObject): string {
  const model = body['model'] ?? '';
  if (typeof model !== 'string') throw wrong('model', '\'model\' must be a string: the name of a backend, of its model, or of a capability.');
  if (model.length > MODEL_CHARS) throw wrong('model', `'model' is longer than ${MODEL_CHARS} characters.`);
  return model;
}

function readOptions(body: JsonObject, isStream: boolean): JsonObject | null {
  const options = body['stream_options'] ?? null;
  if (options === null) return null;
  if (!isJsonObject(options)) throw wrong('stream_options', '\'stream_options\' must be an object.');
  if (!isStream) throw wrong('stream_options', '\'stream_options\' is only allowed when \'stream\' is true.');
  return options;
}

function readFlag(object: JsonObject, name: string, prefix = ''): boolean {
  const value = object[name] ?? false;
  if (typeof value !== 'boolean') throw wrong(`${prefix}${name}`, `'${prefix}${name}' must be true or false.`);
  return value;
}

function readCount(body: JsonObject, name: string, max: number): number | null {
  const value = body[name] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw wrong(name, `'${name}' must be a whole number ${max === Number.MAX_SAFE_INTEGER ? 'from 1 on' : `from 1 to ${max}`}.`);
}

function tightest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

function wrong(field: string, message: string, cause?: unknown): PlatformError {
  return new PlatformError('invalid_input', message, { details: { field }, ...(cause === undefined ? {} : { cause }) });
}
