import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { ModelRequest } from '../request/model-request.ts';

/** The question of a request, and everything that is not the question. */
export interface SemanticQuestion {
  readonly text: string;
  readonly rest: JsonObject;
}

/** What is longer is a document with a question about it, and a vector of it says little. */
const QUESTION_CHARS_MAX = 2_000;

/**
 * null: no question for vectors. By default only what a person asks once: one user message of plain
 * text, no answers before it, no tools; turns of an agent are alike although each needs its own answer.
 */
export function semanticQuestionOf(request: ModelRequest, options: { readonly multiTurn: boolean }): SemanticQuestion | null {
  const { body, kind } = request;
  const key = kind === 'chat' ? 'messages' : kind === 'responses' ? 'input' : null;
  if (key === null) return null;
  const turns = body[key];
  if (!options.multiTurn && (hasItems(body['tools']) || hasItems(body['functions']))) return null;
  if (typeof turns === 'string') return ask(turns, { ...body, [key]: null });
  if (!Array.isArray(turns)) return null;
  const last: JsonValue | undefined = turns.at(-1);
  if (!isJsonObject(last) || last['role'] !== 'user') return null;
  if (!options.multiTurn && !turns.slice(0, -1).every(isInstruction)) return null;
  const text = textOf(last['content']);
  return text === null ? null : ask(text, { ...body, [key]: [...turns.slice(0, -1), { ...last, content: null }] });
}

function ask(text: string, rest: JsonObject): SemanticQuestion | null {
  return text.trim() === '' || text.length > QUESTION_CHARS_MAX ? null : { text, rest };
}

const isInstruction = (turn: JsonValue): boolean => isJsonObject(turn) && (turn['role'] === 'system' || turn['role'] === 'developer');
const hasItems = (value: JsonValue | undefined): boolean => Array.isArray(value) && value.length > 0;

/** Plain text, or one part that is nothing but text. */
function textOf(content: JsonValue | undefined): string | null {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content) || content.length !== 1) return null;
  const part: JsonValue | undefined = content[0];
  if (!isJsonObject(part) || (part['type'] !== 'text' && part['type'] !== 'input_text')) return null;
  return typeof part['text'] === 'string' && Object.keys(part).length === 2 ? part['text'] : null;
}
