import { CHINESE_ASKERS, CHINESE_PHRASES, CHINESE_PHRASE_CHARS_MAX, CHINESE_WORDS_ABOUT_WORDS } from './chinese-words.ts';
import { CONTRACTIONS, ENGLISH_PHRASES, WORDS_ABOUT_WORDS } from './english-words.ts';
import { toTokens } from './tokens.ts';
import type { Token } from './tokens.ts';

/** A token, or what stands for several of them. */
export interface Unit {
  readonly kind: Token['kind'] | 'mark';
  readonly text: string;
  /** A name: it stands for itself, whatever word it looks like. */
  readonly isName: boolean;
}

export interface Units {
  readonly units: readonly Unit[];
  /** The question is about words: they were left as they are. */
  readonly isAboutWords: boolean;
}

export function toUnits(text: string): Units {
  const tokens = toTokens(text);
  const isAboutWords = CHINESE_WORDS_ABOUT_WORDS.test(text) || tokens.some(({ kind, text: word }) => kind === 'word' && WORDS_ABOUT_WORDS.has(word.toLowerCase()));
  const namesShow = capitalsMeanNames(tokens);
  const units = tokens.flatMap((token): readonly Unit[] => (token.kind === 'word' ? wordUnits(token, namesShow) : [{ kind: token.kind, text: token.text, isName: false }]));
  return { units: isAboutWords ? units : withChinesePhrases(withEnglishPhrases(units)), isAboutWords };
}

/** Not in a headline, and not in a text that shouts. */
function capitalsMeanNames(tokens: readonly Token[]): boolean {
  const words = tokens.filter(({ kind, text }) => kind === 'word' && text !== 'I');
  const capitals = words.filter(({ text }) => /^\p{Lu}/u.test(text));
  return words.length < 4 || capitals.length <= words.length * 0.7;
}

function wordUnits({ text, isFirst }: Token, namesShow: boolean): readonly Unit[] {
  const lower = text.toLowerCase();
  const isShouted = /^\p{Lu}{2,}$/u.test(text);
  if (namesShow && text !== 'I' && !text.startsWith("I'") && (isShouted || (!isFirst && /^\p{Lu}/u.test(text)))) return [{ kind: 'word', text: lower.replace(/'s$/, ''), isName: true }];
  const expanded = CONTRACTIONS.get(lower) ?? lower.replace(/n't$/, ' not').replace(/'(?:s|re|ve|d|m)$/, '').replace(/'ll$/, ' will').replace(/s'$/, 's');
  return expanded.split(' ').map((word): Unit => ({ kind: 'word', text: word, isName: false }));
}

const PHRASES: ReadonlyMap<string, string> = new Map(ENGLISH_PHRASES);
const PHRASE_WORDS_MAX = Math.max(...ENGLISH_PHRASES.map(([from]) => from.split(' ').length));

function withEnglishPhrases(units: readonly Unit[]): readonly Unit[] {
  const out: Unit[] = [];
  for (let at = 0; at < units.length; ) {
    const found = englishPhraseAt(units, at);
    if (found === null || (found.to === '' && !isAside(units, { at, words: found.words, isFirst: out.length === 0 }))) {
      out.push(...units.slice(at, at + 1));
      at += 1;
    } else {
      if (found.to !== '') out.push(...found.to.split(' ').map(toUnit));
      at += found.words;
    }
  }
  return out;
}

const LAST_ASIDES: ReadonlySet<string> = new Set(['please', 'thanks', 'thank you', 'are there']);

/** Politeness is at the beginning, and some of it at the end; in the middle the same words may be the matter. */
function isAside(units: readonly Unit[], { at, words, isFirst }: { readonly at: number; readonly words: number; readonly isFirst: boolean }): boolean {
  const end = at + words;
  if (end === units.length && !isFirst) return LAST_ASIDES.has(units.slice(at, end).map(({ text }) => text).join(' '));
  return isFirst && units[at]?.text !== 'are';
}

function toUnit(text: string): Unit {
  if (/^[A-Z]+$/.test(text)) return { kind: 'mark', text, isName: false };
  return { kind: /\d/.test(text) ? 'identifier' : 'word', text, isName: false };
}

function englishPhraseAt(units: readonly Unit[], at: number): { readonly to: string; readonly words: number } | null {
  const words: string[] = [];
  for (const unit of units.slice(at, at + PHRASE_WORDS_MAX)) {
    if (unit.kind !== 'word' || unit.isName) break;
    words.push(unit.text);
  }
  for (let count = words.length; count > 0; count -= 1) {
    const to = PHRASES.get(words.slice(0, count).join(' '));
    if (to !== undefined) return { to, words: count };
  }
  return null;
}

/** Words of Chinese end where its dictionary says so: the 地 of 地铁 is no particle. */
const SEGMENTER = new Intl.Segmenter('zh', { granularity: 'word' });

function withChinesePhrases(units: readonly Unit[]): readonly Unit[] {
  const out: Unit[] = [];
  for (let at = 0; at < units.length; ) {
    let end = at;
    while (units[end]?.kind === 'han') end += 1;
    if (end === at) out.push(...units.slice(at, (end += 1)));
    else out.push(...chineseUnits(units.slice(at, end).map(({ text }) => text).join(''), out.length === 0));
    at = end;
  }
  return out;
}

function chineseUnits(text: string, isFirst: boolean): readonly Unit[] {
  const borders = new Set([...SEGMENTER.segment(text)].map(({ index }) => index).concat(text.length));
  const out: Unit[] = [];
  for (let at = 0; at < text.length; ) {
    const asker = isFirst && out.length === 0 ? [...CHINESE_ASKERS].find((word) => text.startsWith(word, at) && borders.has(at + word.length)) : undefined;
    if (asker !== undefined) {
      at += asker.length;
      continue;
    }
    const phrase = borders.has(at) ? chinesePhraseAt(text, at, borders) : null;
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
    if (phrase === null) out.push({ kind: 'han', text: char, isName: false });
    else if (phrase.to !== '') out.push({ kind: 'mark', text: phrase.to, isName: false });
    at += phrase === null ? char.length : phrase.chars;
  }
  return out;
}

function chinesePhraseAt(text: string, at: number, borders: ReadonlySet<number>): { readonly to: string; readonly chars: number } | null {
  for (let chars = Math.min(CHINESE_PHRASE_CHARS_MAX, text.length - at); chars > 0; chars -= 1) {
    const to = borders.has(at + chars) ? CHINESE_PHRASES.get(text.slice(at, at + chars)) : undefined;
    if (to !== undefined) return { to, chars };
  }
  return null;
}
