import { isJsonObject } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import { chunksOf, replyOf } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** Every string in a value, a line each: as the writer meant it, not as JSON escapes it. */
export function textsOf(value: JsonValue): string {
  const texts: string[] = [];
  visit(value, '', (text) => texts.push(text));
  return texts.join('\n');
}

/** Every string of an answer. What a stream says in the same place again and again is put together: a number may be cut anywhere. */
export function allTextsOf(kept: KeptAnswer): string {
  return [...placesOf(kept).values()].join('\n');
}

/** Where answers have what a reader sees. */
const SEEN = /\.(?:content|text|refusal|arguments)$/;

/** What a reader sees of it. */
export function seenTextOf(kept: KeptAnswer): string {
  const places = [...placesOf(kept)];
  const deltas = places.filter(([place]) => place === '.delta');
  return (deltas.length > 0 ? deltas : places.filter(([place]) => SEEN.test(place))).map(([, text]) => text).join('\n');
}

function placesOf(kept: KeptAnswer): ReadonlyMap<string, string> {
  const places = new Map<string, string[]>();
  for (const json of kept.isStream ? chunksOf(kept) : [replyOf(kept).document ?? '']) {
    visit(parseJson(json), '', (text, place) => {
      const texts = places.get(place);
      if (texts === undefined) places.set(place, [text]);
      else texts.push(text);
    });
  }
  return new Map([...places].map(([place, texts]) => [place, texts.join('')]));
}

const DEPTH_MAX = 100;

function visit(value: JsonValue, place: string, found: (text: string, place: string) => void, depth = 0): void {
  if (typeof value === 'string') return found(value, place);
  if (depth > DEPTH_MAX) return;
  if (Array.isArray(value)) {
    for (const [at, item] of (value as readonly JsonValue[]).entries()) visit(item, `${place}.${at}`, found, depth + 1);
  } else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) visit(item, `${place}.${key}`, found, depth + 1);
  }
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
