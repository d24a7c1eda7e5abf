import { CHINESE_PLACED_MARKS } from './chinese-words.ts';
import { BEFORE_INFINITIVE, EMPTY_WORDS, NEGATIONS, OPPOSITES, ORDER_MARKS, QUANTITIES, QUESTION_WORDS, SAME_FORMS, SUPERLATIVES, SYNONYMS, YES_NO_BEGINNINGS } from './english-words.ts';
import { stem } from './stem.ts';
import { toUnits } from './units.ts';
import type { Unit } from './units.ts';

/** A question without its wording: what must be equal in two that ask the same. */
export interface QuestionForm {
  readonly scripts: readonly string[];
  readonly identifiers: readonly string[];
  readonly numbers: readonly string[];
  readonly quoted: readonly string[];
  readonly negations: readonly string[];
  readonly opposites: readonly string[];
  readonly quantities: readonly string[];
  /** Marks of what is asked, in their order. */
  readonly asks: readonly string[];
  /** Everything that is left, in its order. */
  readonly words: readonly string[];
  /** All of it in its order, but for the asks that may stand anywhere. */
  readonly sequence: readonly string[];
  /** Parts may be turned around: "password reset" is "reset password". */
  readonly isTurnable: boolean;
}

interface Piece {
  readonly role: 'identifiers' | 'numbers' | 'quoted' | 'negations' | 'opposites' | 'quantities' | 'asks' | 'words';
  readonly text: string;
}

const MARKS_OF_ASKING: ReadonlySet<string> = new Set(['HOW', 'HOWTO', 'WHAT', 'WHATIS', 'WHO', 'WHOSE', 'WHEN', 'WHERE', 'WHY', 'WHICH', 'COUNT', 'MUCH', 'DURATION', 'FREQUENCY', 'AGE', 'DISTANCE', 'SIZE', 'ASK', 'CAN', 'MAY', 'SHOULD']);
const CHINESE_OPPOSITES: ReadonlySet<string> = new Set(['ENABLE', 'DISABLE', 'ALLOW', 'FORBID', 'CREATE', 'DELETE', 'LOGIN', 'LOGOUT', 'MORE', 'LESS']);
const CHINESE_QUANTITIES: ReadonlySet<string> = new Set(['ALL', 'EVERY', 'SOME', 'ONLY']);

export function toQuestionForm(text: string): QuestionForm {
  const { units, isAboutWords } = toUnits(text);
  const keepsPlurals = isAboutWords || units.some((unit) => SUPERLATIVES.has(unit.text));
  const pieces = units.flatMap((unit, at) => (isAboutWords ? [plainPiece(unit)] : toPieces(unit, { before: units[at - 1], isFirst: at === 0, keepsPlurals })));
  const of = (role: Piece['role']): readonly string[] => pieces.filter((piece) => piece.role === role).map((piece) => piece.text);
  const sequence = pieces.filter(({ role, text: mark }) => role !== 'asks' || (isChinese(units) && CHINESE_PLACED_MARKS.has(mark))).map((piece) => piece.text);
  const asks = of('asks');
  // A question of nothing but politeness is what it says.
  const words = sequence.length === 0 && asks.length === 0 ? [text.trim().toLowerCase()] : of('words');
  return {
    scripts: SCRIPTS.filter(([, pattern]) => pattern.test(text)).map(([name]) => name),
    identifiers: of('identifiers'),
    numbers: of('numbers'),
    quoted: of('quoted'),
    negations: of('negations'),
    opposites: of('opposites'),
    quantities: of('quantities'),
    asks,
    words,
    sequence,
    // Only there nobody else does it: "how malware spreads" is not "how to spread malware".
    isTurnable: !isAboutWords && asks.join() === 'HOWTO' && !units.some((unit, at) => isOrderMark(unit, units[at - 1])),
  };
}

const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ['latin', /\p{Script=Latin}/u], ['han', /\p{Script=Han}/u], ['kana', /[\p{Script=Hiragana}\p{Script=Katakana}]/u], ['hangul', /\p{Script=Hangul}/u], ['cyrillic', /\p{Script=Cyrillic}/u], ['arabic', /\p{Script=Arabic}/u], ['hebrew', /\p{Script=Hebrew}/u], ['greek', /\p{Script=Greek}/u],
];

const isChinese = (units: readonly Unit[]): boolean => units.some(({ kind, text, isName }) => kind === 'han' || (kind === 'mark' && !isName && text === 'WHATIS'));

function isOrderMark(unit: Unit, before: Unit | undefined): boolean {
  if (unit.isName) return false;
  // Topic and object look the same in Chinese: "病毒怎么传播" is not "怎么传播病毒".
  if (unit.kind === 'symbol' || unit.kind === 'han' || unit.text === 'NOT') return true;
  if (unit.text === 'to') return isDirection(before);
  return unit.kind === 'word' && ORDER_MARKS.has(unit.text);
}

/** "migrate to" against "how to" and "want to". */
const isDirection = (before: Unit | undefined): boolean => before !== undefined && !BEFORE_INFINITIVE.has(before.text);

interface Place {
  readonly before: Unit | undefined;
  readonly isFirst: boolean;
  readonly keepsPlurals: boolean;
}

function toPieces(unit: Unit, place: Place): readonly Piece[] {
  switch (unit.kind) {
    case 'mark':
      return markPieces(unit.text);
    case 'word':
      return unit.isName ? [plainPiece(unit)] : wordPieces(unit.text, place);
    default:
      return [plainPiece(unit)];
  }
}

function plainPiece({ kind, text, isName }: Unit): Piece {
  if (kind === 'identifier') return { role: 'identifiers', text };
  if (kind === 'number') return { role: 'numbers', text };
  if (kind === 'quoted') return { role: 'quoted', text };
  return { role: !isName && NEGATIONS.has(text) ? 'negations' : 'words', text };
}

function markPieces(text: string): readonly Piece[] {
  if (text === 'INF') return [];
  if (MARKS_OF_ASKING.has(text)) return [{ role: 'asks', text }];
  if (text === 'NOT') return [{ role: 'negations', text: 'not' }];
  if (CHINESE_OPPOSITES.has(text)) return [{ role: 'opposites', text }];
  return [{ role: CHINESE_QUANTITIES.has(text) ? 'quantities' : 'words', text }];
}

function wordPieces(word: string, { before, isFirst, keepsPlurals }: Place): readonly Piece[] {
  const ask = QUESTION_WORDS.get(word);
  if (ask !== undefined) return [{ role: 'asks', text: ask }];
  if (isFirst && YES_NO_BEGINNINGS.has(word)) return [{ role: 'asks', text: `ASK ${SAME_FORMS.get(word) ?? word}` }];
  const form = SAME_FORMS.get(word);
  if (form !== undefined) return [{ role: 'words', text: form }];
  if (EMPTY_WORDS.has(word) || (word === 'to' && !isDirection(before))) return [];
  if (NEGATIONS.has(word)) return [{ role: 'negations', text: word }];
  if (QUANTITIES.has(word)) return [{ role: 'quantities', text: word }];
  const single = keepsPlurals ? word : stem(word);
  const text = STEMMED_SYNONYMS.get(stem(word)) ?? single;
  return [{ role: OPPOSITE_STEMS.has(stem(word)) ? 'opposites' : 'words', text }];
}

const STEMMED_SYNONYMS: ReadonlyMap<string, string> = new Map([...SYNONYMS].map(([from, to]) => [stem(from), stem(to)]));
const OPPOSITE_STEMS: ReadonlySet<string> = new Set([...OPPOSITES].map(stem));
