import { toChineseUnits } from './chinese-units.ts';
import { CHINESE_WORDS_ABOUT_WORDS } from './chinese-words.ts';
import { toEnglishUnits } from './english-units.ts';
import { CONTRACTIONS, GREETING, NAMES_LIKE_WORDS, PLACE_FIRST, SHORT_ENDINGS, WORDS_ABOUT_WORDS } from './english-words.ts';
import { toTokens } from './tokens.ts';
import type { Token } from './tokens.ts';

/** A token, or what stands for several of them: `ask` for what is asked, `mark` for other wordings. */
export interface Unit {
  readonly kind: Token['kind'] | 'ask' | 'mark';
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
  if (isAboutWords) return { units: unitsOf(tokens), isAboutWords };
  return { units: toChineseUnits(toEnglishUnits(unitsOf(toTokens(rearranged(text))))), isAboutWords };
}

/** Without a greeting, and with a place that was named first at the end. */
function rearranged(text: string): string {
  return text.replace(GREETING, '').replace(PLACE_FIRST, (_all, where: string, place: string, question: string) => `${question} ${where.toLowerCase()} ${place}`);
}

function unitsOf(tokens: readonly Token[]): readonly Unit[] {
  const namesShow = capitalsMeanNames(tokens);
  return tokens.flatMap((token, at): readonly Unit[] => {
    if (token.kind !== 'word') return [unit(token.kind, token.text)];
    // Of a unit, capitals count: Mb and MB.
    if (tokens[at - 1]?.kind === 'number' && token.text.length <= 3) return [unit('word', token.text)];
    return wordUnits(token, namesShow);
  });
}

const unit = (kind: Unit['kind'], text: string): Unit => ({ kind, text, isName: false });

/** Not in a headline, and not in a text that shouts. */
function capitalsMeanNames(tokens: readonly Token[]): boolean {
  const words = tokens.filter(({ kind, text }) => kind === 'word' && text !== 'I');
  const capitals = words.filter(({ text }) => /^\p{Lu}/u.test(text));
  return words.length < 4 || capitals.length <= words.length * 0.7;
}

function wordUnits({ text, isFirst }: Token, namesShow: boolean): readonly Unit[] {
  const lower = text.toLowerCase();
  const known = CONTRACTIONS.get(lower);
  if (known !== undefined) return known.split(' ').map((word) => unit('word', word));
  const ending = [...SHORT_ENDINGS.keys()].find((each) => lower.endsWith(each) && lower.length > each.length) ?? '';
  const stem = text.slice(0, text.length - ending.length);
  const isShouted = /^\p{Lu}{2,}$/u.test(stem);
  const isName = namesShow && stem !== 'I' && (isShouted || (!isFirst && /^\p{Lu}/u.test(stem)));
  const word = stem.toLowerCase();
  const tail = SHORT_ENDINGS.get(ending);
  return [{ kind: 'word', text: isName && NAMES_LIKE_WORDS.has(word) ? `name ${word}` : word, isName }, ...(tail === undefined ? [] : [unit('word', tail)])];
}
