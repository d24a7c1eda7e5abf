import { CHINESE_ASKER, CHINESE_ASKS, CHINESE_FILLERS, CHINESE_FIRST_ASKS, CHINESE_LAST_ASKS, CHINESE_POLITE_BEGINNINGS, CHINESE_POLITE_ENDS, CHINESE_WORDS } from './chinese-words.ts';
import type { Unit } from './units.ts';

/** Words of Chinese end where its dictionary says so: the 地 of 地铁 is no particle. */
const SEGMENTER = new Intl.Segmenter('zh', { granularity: 'word' });

/** One wording for many, in each run of Chinese characters. */
export function toChineseUnits(units: readonly Unit[]): readonly Unit[] {
  const out: Unit[] = [];
  for (let at = 0; at < units.length; ) {
    let end = at;
    while (units[end]?.kind === 'han') end += 1;
    if (end === at) {
      out.push(...units.slice(at, (end += 1)));
    } else {
      const text = units.slice(at, end).map((unit) => unit.text).join('');
      const first = out.length === 0 ? fromBeginning(text) : { text, asks: [] };
      const last = end === units.length ? fromEnd(first.text) : { text: first.text, asks: [] };
      out.unshift(...first.asks, ...last.asks);
      out.push(...inside(last.text));
    }
    at = end;
  }
  return out;
}

interface Run {
  readonly text: string;
  /** Of the whole question, whether they were said first or last. */
  readonly asks: readonly Unit[];
}

function fromBeginning(run: string): Run {
  let text = run;
  for (let polite = beginningOf(text); polite !== undefined; polite = beginningOf(text)) text = text.slice(polite.length);
  text = text.replace(CHINESE_ASKER, '');
  const found = [...CHINESE_FIRST_ASKS].find(([phrase]) => text.startsWith(phrase) && isBorder(text, phrase.length));
  return found === undefined ? { text, asks: [] } : { text: text.slice(found[0].length), asks: [ask(found[1])] };
}

const beginningOf = (text: string): string | undefined => CHINESE_POLITE_BEGINNINGS.find((each) => text.length > each.length && text.startsWith(each) && isBorder(text, each.length));

function fromEnd(run: string): Run {
  let text = run;
  for (let polite = endOf(text); polite !== undefined; polite = endOf(text)) text = text.slice(0, -polite.length);
  const found = LAST_ASKS.find(([phrase]) => text.endsWith(phrase) && isBorder(text, text.length - phrase.length));
  return found === undefined ? { text, asks: [] } : { text: text.slice(0, -found[0].length), asks: [ask(found[1])] };
}

const endOf = (text: string): string | undefined => CHINESE_POLITE_ENDS.find((each) => text.length > each.length && text.endsWith(each) && isBorder(text, text.length - each.length));
/** The longest first. */
const LAST_ASKS = [...CHINESE_LAST_ASKS].sort(([a], [b]) => b.length - a.length);

const bordersOf = (text: string): ReadonlySet<number> => new Set([...SEGMENTER.segment(text)].map(({ index }) => index).concat(text.length));
const isBorder = (text: string, at: number): boolean => bordersOf(text).has(at);

const ask = (text: string): Unit => ({ kind: 'ask', text, isName: false });

const PHRASES: ReadonlyMap<string, readonly Unit[]> = new Map<string, readonly Unit[]>([
  ...[...CHINESE_ASKS].map(([phrase, to]): [string, readonly Unit[]] => [phrase, [ask(to)]]),
  ...[...CHINESE_WORDS].map(([phrase, text]): [string, readonly Unit[]] => [phrase, [{ kind: 'mark', text, isName: false }]]),
  ...[...CHINESE_FILLERS].map((phrase): [string, readonly Unit[]] => [phrase, []]),
]);
const PHRASE_CHARS_MAX = Math.max(...[...PHRASES.keys()].map((phrase) => phrase.length));

function inside(text: string): readonly Unit[] {
  const borders = bordersOf(text);
  const out: Unit[] = [];
  for (let at = 0; at < text.length; ) {
    const phrase = borders.has(at) ? phraseAt(text, at, borders) : null;
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
    out.push(...(phrase === null ? [{ kind: 'han', text: char, isName: false } as const] : (PHRASES.get(phrase) ?? [])));
    at += (phrase ?? char).length;
  }
  return out;
}

/** The longest one; null: none. */
function phraseAt(text: string, at: number, borders: ReadonlySet<number>): string | null {
  for (let chars = Math.min(PHRASE_CHARS_MAX, text.length - at); chars > 0; chars -= 1) {
    const phrase = text.slice(at, at + chars);
    if (borders.has(at + chars) && PHRASES.has(phrase)) return phrase;
  }
  return null;
}
