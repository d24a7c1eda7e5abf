import type { JsonObject } from '@openeaap/kernel';
import { isJsonObject } from '@openeaap/kernel';
import type { ModelRequest } from '../request/model-request.ts';
import { channelOf, endedBy, toRemainder } from './answer-channels.ts';
import type { Channel } from './answer-channels.ts';
import type { AnswerRestorer } from './egress-guard.ts';
import { createJsonDepth } from './json-depth.ts';
import type { JsonDepth } from './json-depth.ts';
import type { Syntax, TextRestorer } from './restore-text.ts';
import { decodeText, replaceAt, walkJson } from './walk-json.ts';
import type { JsonPath, JsonVisitor, Replacement } from './walk-json.ts';

/** Texts that may be held back at once, of all choices and tool calls; of more, pieces pass as they are. */
const HELD_TEXTS_MAX = 1_024;

/** A placeholder in JSON begins with one of these, or with a backslash in a text that is JSON itself. */
const MARK = /<|\\u003c|\\\\/i;

interface Held {
  readonly channel: Channel;
  readonly text: string;
  /** The chunk in which it came: what it is passed on in looks the same. */
  readonly chunk: JsonObject;
}

/**
 * `document` and `chunk` change only the literals in which there was a placeholder; whatever is not
 * JSON passes as it is. A stream's texts are kept apart by choice, tool call and kind of text, so a
 * placeholder may be cut anywhere between chunks.
 */
export function createAnswerRestorer(texts: TextRestorer, request: Pick<ModelRequest, 'body'>): AnswerRestorer {
  const writesJson = asksForJson(request.body);
  const held = new Map<string, Held>();

  const depths = new Map<string, JsonDepth>();

  const syntaxOf = (path: JsonPath): Syntax => (isJsonText(path, writesJson) ? createJsonDepth() : 'plain');
  const syntaxOfPiece = ({ id, isArguments, isAnswer }: Channel): Syntax => {
    if (!isArguments && !(isAnswer && writesJson)) return 'plain';
    const depth = depths.get(id) ?? createJsonDepth();
    if (depths.size < HELD_TEXTS_MAX) depths.set(id, depth);
    return depth;
  };

  const piece = (chunk: JsonObject, channel: Channel, text: string): string => {
    const before = held.get(channel.id)?.text ?? '';
    const syntax = syntaxOfPiece(channel);
    const isLast = channel.isEnded || (before === '' && held.size >= HELD_TEXTS_MAX);
    const cut = isLast ? { ready: texts.whole(before + text, syntax), held: '' } : texts.piece(before + text, syntax);
    if (cut.held === '') held.delete(channel.id);
    else held.set(channel.id, { channel, text: cut.held, chunk });
    return cut.ready;
  };

  /** What is held of the texts that this chunk ends, as chunks to go before it. */
  const release = (chunk: JsonObject): readonly string[] => {
    if (held.size === 0) return [];
    const ends = endedBy(chunk);
    const over = ends === null ? [] : [...held.values()].filter(({ channel }) => ends(channel));
    for (const { channel } of over) held.delete(channel.id);
    return over.map(toChunk);
  };

  return {
    document: (json) => (MARK.test(json) ? (editTexts(json, (text, path) => texts.whole(text, syntaxOf(path))) ?? json) : json),
    chunk: (json) => {
      // Of a text that is JSON every piece is read: what stands in it says how deep it goes.
      if (held.size === 0 && !writesJson && !MARK.test(json) && !json.includes('arguments')) return [json];
      const chunk = parseObject(json);
      if (chunk === null) return [json];
      const before = [...held];
      const restored = editTexts(json, (text, path) => {
        const channel = channelOf(chunk, path);
        return channel === null ? texts.whole(text, syntaxOf(path)) : piece(chunk, channel, text);
      });
      // Half a chunk was read: what was held goes on being held.
      if (restored === null) for (const [id, each] of before) held.set(id, each);
      return [...release(chunk), restored ?? json];
    },
    end: () => {
      const rest = [...held.values()];
      held.clear();
      return rest.map(toChunk);
    },
  };
}

const toChunk = ({ channel, text, chunk }: Held): string => JSON.stringify(toRemainder(chunk, channel, text));

/** The JSON with the texts that `edit` changes written anew; null: it cannot be walked. */
function editTexts(json: string, edit: (text: string, path: JsonPath) => string): string | null {
  const replacements: Replacement[] = [];
  const visitText: JsonVisitor['text'] = (place, path) => {
    const text = decodeText(json, place);
    const edited = edit(text, path);
    if (edited !== text) replacements.push({ ...place, text: JSON.stringify(edited) });
  };
  try {
    walkJson(json, { text: visitText, key: (place, path) => visitText(place, [...path, KEY]) });
  } catch {
    return null;
  }
  return replaceAt(json, replacements);
}

/** Ends the path of a key's own text, so that it is not taken for its value. */
const KEY = 0;

function parseObject(json: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(json);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Where the API has a text that is JSON: arguments of calls, and the answer where the request asks for JSON. */
function isJsonText(path: JsonPath, writesJson: boolean): boolean {
  const key = path.at(-1);
  return key === 'arguments' || (writesJson && (key === 'content' || key === 'text' || key === 'output_text'));
}

function asksForJson(body: JsonObject): boolean {
  const format = isJsonObject(body['text']) ? body['text']['format'] : body['response_format'];
  const type = isJsonObject(format) ? format['type'] : undefined;
  return type === 'json_schema' || type === 'json_object' || ['guided_json', 'structured_outputs'].some((key) => isJsonObject(body[key]));
}
