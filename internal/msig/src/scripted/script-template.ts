import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { lookUp } from './script-conversation.ts';
import type { ScriptConversation } from './script-conversation.ts';

/** A compiled template: the conversation in, the text out. */
export type Template = (conversation: ScriptConversation) => string;

const HOLE = /\{\{([^{}]*(?:\{\w+\}[^{}]*)*)\}\}/g;
const JOIN = /^join\s+(\S+)\s+'([^']*)'\s+'([^']*)'(?:\s*\|([\s\S]*))?$/;
const VALUE = /^([\w.]+)(?:\s*\|([\s\S]*))?$/;
/** Items of a list that a text names; the rest would only make it long. */
const JOINED_MAX = 5;

/**
 * Compiles a text with holes:
 * `{{path}}` and `{{path|what stands there when it is missing}}`;
 * `{{join path '{key} as often as needed' 'separator'|when empty}}` for a list of objects.
 * Throws a SyntaxError for a hole that is none of these; `isKnown` says which paths can exist.
 */
export function compileTemplate(text: string, isKnown: (path: string) => boolean): Template {
  const parts: (string | Template)[] = [];
  let end = 0;
  for (const match of text.matchAll(HOLE)) {
    parts.push(text.slice(end, match.index), compileHole((match[1] ?? '').trim(), isKnown));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return (conversation) => parts.map((part) => (typeof part === 'string' ? part : part(conversation))).join('');
}

function compileHole(hole: string, isKnown: (path: string) => boolean): Template {
  const join = JOIN.exec(hole);
  const value = VALUE.exec(hole);
  const path = join?.[1] ?? value?.[1];
  if (path === undefined) throw new SyntaxError(`{{${hole}}} is not understood; write {{path}}, {{path|default}} or {{join path 'item' 'separator'|default}}`);
  if (!isKnown(path)) throw new SyntaxError(`{{${hole}}} names "${path}", which is neither a variable nor input, language or result.TOOL`);
  if (join === null) {
    const fallback = value?.[2] ?? '';
    return (conversation) => toText(lookUp(conversation, path)) || fallback;
  }
  const [, , item = '', separator = '', fallback = ''] = join;
  return (conversation) => {
    const list = lookUp(conversation, path);
    const items = Array.isArray(list) ? (list as readonly JsonValue[]).slice(0, JOINED_MAX) : [];
    return items.map((each) => item.replaceAll(/\{(\w+)\}/g, (_, key: string) => toText(isJsonObject(each) ? each[key] : undefined))).join(separator) || fallback;
  };
}

function toText(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A compiled JSON value whose texts are templates. */
export type JsonTemplate = (conversation: ScriptConversation) => JsonValue;

/** Compiles the arguments of a call. A text that is empty once filled in leaves its key out. */
export function compileJson(value: unknown, isKnown: (path: string) => boolean): JsonTemplate {
  if (typeof value === 'string') return compileTemplate(value, isKnown);
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => compileJson(item, isKnown));
    return (conversation) => items.map((item) => item(conversation));
  }
  if (isJsonObject(value)) {
    const entries = Object.entries(value).map(([key, item]) => [key, compileJson(item, isKnown)] as const);
    return (conversation): JsonObject => Object.fromEntries(entries.map(([key, item]) => [key, item(conversation)] as const).filter(([, item]) => item !== ''));
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return () => value;
  throw new SyntaxError('an argument must be a text, a number, true, false, null, a list or a mapping');
}
