import type { JsonValue } from '../json-value.ts';
import { isJsonObject } from '../json-value.ts';

/** What a request for a chat completion says, as far as the model double needs it. */
export interface Conversation {
  /** The newest `{"do": ...}` object in the user's messages; null: there is none. */
  readonly instruction: { readonly [key: string]: JsonValue } | null;
  /** Whether a tool of that name may be called. */
  readonly offers: (tool: string) => boolean;
  /** Names in `tools`; empty for the text form, which has them in the prompt. */
  readonly tools: readonly string[];
  /** What came back for calls since the instruction, oldest first. */
  readonly observations: readonly string[];
  /** How the model calls tools: by the API, or by lines as in the ReAct paper. */
  readonly form: 'tools' | 'text';
}

interface Message {
  readonly role: string;
  readonly text: string;
}

/** Body of a request; anything that is not as the API has it is read as not there. */
export function readConversation(body: unknown): Conversation {
  const request = isJsonObject(body) ? body : {};
  const messages = asList(request['messages']).map(toMessage);
  const tools = asList(request['tools']).flatMap(toToolName);
  const at = messages.findLastIndex(({ role, text }) => role === 'user' && findInstruction(text) !== null);
  const found = findInstruction(messages[at]?.text ?? '');
  const since = at < 0 ? [] : messages.slice(at + 1);
  const before = messages.map(({ text }, index) => (index === at && found !== null ? text.slice(0, found.start) : text)).join('\n');
  const form = tools.length === 0 && messages.some(({ text }) => text.includes('Action Input')) ? 'text' : 'tools';
  return {
    instruction: found?.value ?? null,
    tools,
    offers: (tool) => (form === 'text' ? new RegExp(`(^|[^\\w-])${tool.replaceAll(/[^\w-]/g, '')}($|[^\\w-])`, 'm').test(before) : tools.includes(tool)),
    observations: form === 'text' ? observationsIn([(messages[at]?.text ?? '').slice(found?.end ?? 0), ...since.filter(({ role }) => role !== 'assistant').map(({ text }) => text)]) : since.filter(({ role }) => role === 'tool' || role === 'function').map(({ text }) => text),
    form,
  };
}

const asList = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? (value as readonly JsonValue[]) : []);

function toMessage(value: JsonValue): Message {
  if (!isJsonObject(value)) return { role: '', text: '' };
  const { role, content } = value;
  const parts = asList(content).map((part) => (isJsonObject(part) && typeof part['text'] === 'string' ? part['text'] : ''));
  return { role: typeof role === 'string' ? role : '', text: typeof content === 'string' ? content : parts.join('\n') };
}

function toToolName(value: JsonValue): readonly string[] {
  const call = isJsonObject(value) ? (value['function'] ?? null) : null;
  return isJsonObject(call) && typeof call['name'] === 'string' ? [call['name']] : [];
}

/** The last `{"do": ...}` in a text: an agent may wrap its input in words. */
function findInstruction(text: string): { readonly value: { readonly [key: string]: JsonValue }; readonly start: number; readonly end: number } | null {
  const starts = [...text.matchAll(/\{\s*"do"\s*:/g)].map((match) => match.index);
  for (const start of starts.reverse()) {
    const end = endOfObject(text, start);
    try {
      const value: unknown = JSON.parse(text.slice(start, end));
      if (isJsonObject(value) && typeof value['do'] === 'string') return { value, start, end };
    } catch {
      // Not this one.
    }
  }
  return null;
}

/** Behind the brace that closes the one at `start`; the end of the text when none does. */
function endOfObject(text: string, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (quoted && char === '\\') at += 1;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && char === '{') depth += 1;
    else if (!quoted && char === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

function observationsIn(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => text.split(/^[ \t]*Observation[ \t]*:/m).slice(1)).map((part) => (part.split(/^[ \t]*Thought[ \t]*:/m)[0] ?? '').trim());
}
