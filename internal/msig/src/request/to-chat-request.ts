import { isJsonObject } from '@openeaap/kernel';
import type { ChatMessage, ChatRequest, ChatTool, ChatToolCall, JsonObject, JsonValue } from '@openeaap/kernel';
import { wrong } from './fields.ts';
import type { ModelRequest } from './model-request.ts';

/**
 * A completion in the reduced words of the platform, for backends that are no OpenAI server. What
 * those have no word for (images, response formats, penalties) is left out, as by a model that
 * ignores it; what would change the form of the answer is refused. Errors: `invalid_input`.
 */
export function toChatRequest(completion: ModelRequest, maxTokens: number | null): ChatRequest {
  const { body } = completion;
  const prompt = completion.kind === 'completions' ? readPrompt(body) : null;
  if (completion.choices > 1) throw wrong('n', 'This backend gives one choice. Leave \'n\' out, or ask another model.');
  const tools = body['tool_choice'] === 'none' ? [] : readTools(body);
  const stop = typeof body['stop'] === 'string' ? [body['stop']] : isStrings(body['stop']) ? body['stop'] : [];
  const limit = maxTokens ?? completion.maxTokens;
  return {
    model: completion.model,
    messages: prompt !== null ? [{ role: 'user', content: prompt }] : toObjects(body['messages']).map(toMessage),
    ...(tools.length === 0 ? {} : { tools }),
    ...(typeof body['temperature'] === 'number' ? { temperature: body['temperature'] } : {}),
    ...(limit === null ? {} : { maxTokens: limit }),
    ...(stop.length === 0 ? {} : { stop }),
  };
}

/** One text: tokens are this server's own business, and what continues or repeats a text is no answer to it. */
function readPrompt(body: JsonObject): string {
  if (body['echo'] === true) throw wrong('echo', 'This backend does not repeat the prompt. Leave \'echo\' out, or ask another model.');
  if (typeof body['suffix'] === 'string' && body['suffix'] !== '') throw wrong('suffix', 'This backend writes no middles. Leave \'suffix\' out, or ask another model.');
  const { prompt } = body;
  const text = Array.isArray(prompt) && prompt.length === 1 ? (prompt[0] as JsonValue) : prompt;
  if (typeof text !== 'string') throw wrong('prompt', 'This backend takes one text as \'prompt\', no tokens. Send a text, or ask another model.');
  return text;
}

function toMessage(message: JsonObject, index: number): ChatMessage {
  const content = toText(message['content']);
  switch (message['role']) {
    case 'system':
    case 'developer':
      return { role: 'system', content };
    case 'user':
      return { role: 'user', content };
    case 'assistant':
      return { role: 'assistant', content, toolCalls: readCalls(message) };
    case 'tool':
    case 'function':
      return { role: 'tool', toolCallId: stringOf(message['tool_call_id']) || stringOf(message['name']), content };
    default:
      throw wrong(`messages[${index}].role`, `'messages[${index}].role' must be system, developer, user, assistant, tool or function.`);
  }
}

/** Text as it is, or of all parts that have some. */
function toText(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  return toObjects(content).map((part) => part['text'] ?? part['refusal']).filter((text) => typeof text === 'string').join('\n');
}

function readCalls(message: JsonObject): readonly ChatToolCall[] {
  const calls = toObjects(message['tool_calls']).map((call) => toCall(call['function'], stringOf(call['id'])));
  const old = message['function_call'];
  return isJsonObject(old) ? [...calls, toCall(old, stringOf(old['name']))] : calls;
}

function toCall(part: JsonValue | undefined, id: string): ChatToolCall {
  const { name = '', arguments: args = '' } = isJsonObject(part) ? part : {};
  return { id, name: stringOf(name), argumentsText: typeof args === 'string' ? args : JSON.stringify(args) };
}

function readTools(body: JsonObject): readonly ChatTool[] {
  const functions = [...toObjects(body['tools']).map((tool) => tool['function']), ...toObjects(body['functions'])];
  return functions.filter(isJsonObject).map((each) => ({
    name: stringOf(each['name']),
    description: stringOf(each['description']),
    parameters: isJsonObject(each['parameters']) ? each['parameters'] : { type: 'object', properties: {} },
  }));
}

function toObjects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

const stringOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');

const isStrings = (value: JsonValue | undefined): value is readonly string[] => Array.isArray(value) && value.every((each) => typeof each === 'string');
