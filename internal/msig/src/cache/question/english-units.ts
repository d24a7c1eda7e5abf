import { DEEDS, DOINGS, ENGLISH_ASKS, ENGLISH_PHRASES, POLITE_BEGINNINGS, POLITE_ENDS } from './english-words.ts';
import type { Unit } from './units.ts';

interface Wording {
  readonly from: string;
  readonly to: readonly Unit[];
  readonly next?: RegExp;
}

const ASKS: ReadonlyMap<string, Wording> = new Map<string, Wording>([
  ...POLITE_BEGINNINGS.map((from): [string, Wording] => [from, { from, to: [] }]),
  ...ENGLISH_ASKS.map((each): [string, Wording] => [each.from, { ...each, to: [{ kind: 'ask', text: each.to, isName: false }] }]),
]);
const PHRASES: ReadonlyMap<string, Wording> = new Map(
  ENGLISH_PHRASES.map(([from, to]) => [from, { from, to: to.split(' ').map((text): Unit => ({ kind: /\d/.test(text) ? 'identifier' : 'word', text, isName: false })) }]),
);
const PHRASE_WORDS_MAX = Math.max(...[...ASKS.keys(), ...PHRASES.keys()].map((from) => from.split(' ').length));

/** One wording for many. What is asked is said at the beginning; in the middle the same words may be the matter. */
export function toEnglishUnits(units: readonly Unit[]): readonly Unit[] {
  const out: Unit[] = [];
  const all = withoutPoliteEnd(units);
  for (let at = 0; at < all.length; ) {
    const found = (out.length === 0 ? wordingAt(ASKS, all, at) : null) ?? wordingAt(PHRASES, all, at);
    if (found === null) out.push(...all.slice(at, at + 1));
    else out.push(...found.to);
    at += found === null ? 1 : found.from.split(' ').length;
  }
  return toDoing(out);
}

function withoutPoliteEnd(units: readonly Unit[]): readonly Unit[] {
  const said = POLITE_ENDS.map((end) => end.split(' ')).find((end) => end.length < units.length && end.every((word, at) => isWord(units[units.length - end.length + at], word)));
  return said === undefined ? units : units.slice(0, -said.length);
}

const isWord = (unit: Unit | undefined, word: string): boolean => unit?.kind === 'word' && !unit.isName && unit.text === word;

/** The longest one. */
function wordingAt(wordings: ReadonlyMap<string, Wording>, units: readonly Unit[], at: number): Wording | null {
  const words: string[] = [];
  for (const unit of units.slice(at, at + PHRASE_WORDS_MAX)) {
    if (unit.kind !== 'word' || unit.isName) break;
    words.push(unit.text);
  }
  for (let count = words.length; count > 0; count -= 1) {
    const found = wordings.get(words.slice(0, count).join(' '));
    if (found !== undefined && (found.next === undefined || found.next.test(units[at + count]?.text ?? ''))) return found;
  }
  return null;
}

/** "Steps for resetting passwords" and "steps for password reset" are how to reset them; any other noun may be anything. */
function toDoing(units: readonly Unit[]): readonly Unit[] {
  const [ask, first, second, ...others] = units;
  if (ask?.kind !== 'ask' || ask.text !== 'HOWFOR' || first === undefined) return units;
  const howTo: Unit = { ...ask, text: 'HOWTO' };
  const verb = first.isName ? undefined : DOINGS.get(first.text);
  if (verb !== undefined) return [howTo, { ...first, text: verb }, ...units.slice(2)];
  const isDeed = second !== undefined && others.length === 0 && first.kind === 'word' && isWord(second, second.text) && DEEDS.has(second.text);
  return isDeed ? [howTo, second, first] : units;
}
