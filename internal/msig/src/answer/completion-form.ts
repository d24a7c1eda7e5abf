import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { latinLength } from '../request/estimate-usage.ts';
import type { ModelRequest } from '../request/model-request.ts';

/** What differs between the two kinds of completion. */
export interface CompletionForm {
  /** Characters in a choice that a model wrote, as `latinLength` counts them. */
  readonly charsOf: (choice: JsonObject) => number;
  /** A whole answer as the chunks of a stream that says the same; its usage is not among them. */
  readonly toChunks: (document: JsonObject) => readonly JsonObject[];
  /** A choice that only says why it ended. */
  readonly endOf: (index: number, finishReason: JsonValue) => JsonObject;
  /** Of an answer to this request. */
  readonly choicesOf: (request: ModelRequest) => number;
}

export const CHAT_FORM: CompletionForm = {
  charsOf: (choice) => charsOfMessage(choice['delta'] ?? choice['message']),
  toChunks: (document) => {
    const { choices, usage: _usage, ...envelope } = document;
    const all = objectsOf(choices);
    const chunkOf = (choice: JsonObject): JsonObject => ({ ...envelope, object: 'chat.completion.chunk', choices: [choice] });
    return [
      ...all.map((choice, at) => chunkOf({ ...partsOf(choice, at), delta: isJsonObject(choice['message']) ? { role: 'assistant', ...choice['message'] } : { role: 'assistant' }, finish_reason: null })),
      ...all.map((choice, at) => chunkOf(CHAT_FORM.endOf(indexOf(choice, at), choice['finish_reason'] ?? 'stop'))),
    ];
  },
  endOf: (index, finishReason) => ({ index, delta: {}, logprobs: null, finish_reason: finishReason }),
  choicesOf: ({ choices }) => choices,
};

export const TEXT_FORM: CompletionForm = {
  charsOf: ({ text }) => lengthOf(text),
  toChunks: (document) => {
    const { choices, usage: _usage, ...envelope } = document;
    return objectsOf(choices).map((choice, at) => ({ ...envelope, choices: [{ finish_reason: 'stop', ...choice, index: indexOf(choice, at) }] }));
  },
  endOf: (index, finishReason) => ({ index, text: '', logprobs: null, finish_reason: finishReason }),
  // `best_of` writes more than it shows.
  choicesOf: ({ choices, body }) => {
    const [shown, written] = [body['n'] ?? 1, body['best_of'] ?? 1].map(Number);
    return (choices * (shown ?? 1)) / Math.max(shown ?? 1, written ?? 1);
  },
};

function partsOf(choice: JsonObject, at: number): JsonObject {
  const { message: _message, finish_reason: _reason, ...others } = choice;
  return { ...others, index: indexOf(choice, at) };
}

export function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

export function indexOf(choice: JsonObject, at: number): number {
  return typeof choice['index'] === 'number' ? choice['index'] : at;
}

function charsOfMessage(message: JsonValue | undefined): number {
  if (!isJsonObject(message)) return 0;
  let chars = lengthOf(message['content']) + lengthOf(message['reasoning'] ?? message['reasoning_content']) + lengthOf(message['refusal']);
  const calls = message['tool_calls'];
  if (Array.isArray(calls)) for (const call of calls) if (isJsonObject(call)) chars += charsOfCall(call['function'] ?? call['custom']);
  return chars + charsOfCall(message['function_call']);
}

const charsOfCall = (part: JsonValue | undefined): number => (isJsonObject(part) ? lengthOf(part['name']) + lengthOf(part['arguments'] ?? part['input']) : 0);

const lengthOf = (text: JsonValue | undefined): number => (typeof text === 'string' ? latinLength(text) : 0);
