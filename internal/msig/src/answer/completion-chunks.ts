import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject } from '@openeaap/kernel';

/** A whole `chat.completion` as the chunks of a stream that says the same; its usage is not among them. */
export function toCompletionChunks(document: JsonObject): readonly JsonObject[] {
  const { choices, usage: _usage, ...envelope } = document;
  const all = Array.isArray(choices) ? choices.filter(isJsonObject) : [];
  const chunkOf = (choice: JsonObject): JsonObject => ({ ...envelope, object: 'chat.completion.chunk', choices: [choice] });
  return [
    ...all.map((choice, at) => chunkOf({ ...choiceParts(choice, at), delta: isJsonObject(choice['message']) ? { role: 'assistant', ...choice['message'] } : { role: 'assistant' }, finish_reason: null })),
    ...all.map((choice, at) => chunkOf({ index: indexOf(choice, at), delta: {}, logprobs: null, finish_reason: choice['finish_reason'] ?? 'stop' })),
  ];
}

function choiceParts(choice: JsonObject, at: number): JsonObject {
  const { message: _message, finish_reason: _reason, ...others } = choice;
  return { ...others, index: indexOf(choice, at) };
}

const indexOf = (choice: JsonObject, at: number): number => (typeof choice['index'] === 'number' ? choice['index'] : at);
