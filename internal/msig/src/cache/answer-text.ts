import { parseJson } from '../parse-json.ts';
import { decodeText, walkJson } from '../privacy/walk-json.ts';
import { chunksOf, replyOf } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** Everything that a JSON text says, a line each: texts as their writer meant them, keys, numbers. Errors: RangeError, SyntaxError (it cannot be looked through). */
export function saidIn(json: string): string {
  const said: string[] = [];
  walkJson(json, {
    text: (place) => said.push(decodeText(json, place)),
    number: ({ start, end }) => said.push(json.slice(start, end)),
    key: (place) => said.push(decodeText(json, place)),
  });
  return said.join('\n');
}

/**
 * All texts and keys of an answer; what a stream says in the same place again and again is put
 * together, for a number may be cut anywhere. Not its numbers: times, counts, coordinates of vectors.
 * Errors: RangeError, SyntaxError (it cannot be looked through).
 */
export function allTextsOf(kept: KeptAnswer): string {
  const keys = new Set<string>();
  const places = placesOf(kept, (key) => void keys.add(key));
  return [...places.values(), ...keys].join('\n');
}

/** Where answers have what a reader sees. */
const SEEN = /\.(?:content|text|refusal|arguments)$/;

/** What a reader sees of it. Errors: as above. */
export function seenTextOf(kept: KeptAnswer): string {
  const places = [...placesOf(kept, () => undefined)];
  const deltas = places.filter(([place]) => place === '.delta');
  return (deltas.length > 0 ? deltas : places.filter(([place]) => SEEN.test(place))).map(([, text]) => text).join('\n');
}

function placesOf(kept: KeptAnswer, onKey: (key: string) => void): ReadonlyMap<string, string> {
  const places = new Map<string, string[]>();
  for (const json of kept.isStream ? chunksOf(kept) : [replyOf(kept).document ?? '']) {
    if (parseJson(json) === undefined) throw new SyntaxError('An answer is not JSON.');
    walkJson(json, {
      text: (at, path) => {
        const place = path.map((step) => `.${step}`).join('');
        const texts = places.get(place);
        if (texts === undefined) places.set(place, [decodeText(json, at)]);
        else texts.push(decodeText(json, at));
      },
      key: (at) => onKey(decodeText(json, at)),
    });
  }
  return new Map([...places].map(([place, texts]) => [place, texts.join('')]));
}
