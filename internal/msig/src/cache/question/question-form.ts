import { CHINESE_NEGATIONS, CHINESE_OPPOSITES, CHINESE_QUANTITIES } from './chinese-words.ts';
import { COUNTED, DETERMINERS, EMPTY_WORDS, NEGATIONS, NO_NOUNS, OPPOSITES, QUANTITIES, QUESTION_WORDS, SAME_FORMS, SPELLINGS, SUPERLATIVES, YES_NO_BEGINNINGS } from './english-words.ts';
import { toUnits } from './units.ts';
import type { Unit } from './units.ts';

/** A question without its wording: what must be equal in two that ask the same. */
export interface QuestionForm {
  readonly scripts: readonly string[];
  readonly identifiers: readonly string[];
  readonly numbers: readonly string[];
  readonly quoted: readonly string[];
  readonly names: readonly string[];
  readonly negations: readonly string[];
  readonly opposites: readonly string[];
  readonly quantities: readonly string[];
  /** Marks of what is asked, in their order. */
  readonly asks: readonly string[];
  /** Everything that is left, in its order; names too. */
  readonly words: readonly string[];
  /** All of it in its order. */
  readonly sequence: readonly string[];
}

interface Piece {
  readonly role: 'identifiers' | 'numbers' | 'quoted' | 'negations' | 'opposites' | 'quantities' | 'asks' | 'words';
  readonly text: string;
}

export function toQuestionForm(text: string): QuestionForm {
  const { units, isAboutWords } = toUnits(text);
  const asked = isAboutWords ? [] : asksOf(units, text);
  const isGeneral = asked.length === 1 && GENERAL_ASKS.has(asked[0] ?? '');
  const isOneOrMany = asked.join() === 'HOWTO' && !units.some((unit) => SUPERLATIVES.has(unit.text));
  const pieces = units.flatMap((unit, at) => (isAboutWords ? [plainPiece(unit)] : toPieces(unit, { isFirst: at === 0, hasNoun: hasNoun(units[at + 1]), isGeneral, isOneOrMany })));
  const of = (role: Piece['role']): readonly string[] => pieces.filter((piece) => piece.role === role).map((piece) => piece.text);
  const sequence = pieces.map((piece) => piece.text);
  return {
    scripts: SCRIPTS.filter(([, pattern]) => pattern.test(text)).map(([name]) => name),
    identifiers: of('identifiers'),
    numbers: of('numbers'),
    quoted: of('quoted'),
    names: units.filter(({ isName }) => isName).map((unit) => unit.text),
    negations: of('negations'),
    opposites: of('opposites'),
    quantities: of('quantities'),
    asks: asked,
    // A question of nothing but politeness is what it says.
    words: sequence.length === 0 ? [text.trim().toLowerCase()] : of('words'),
    sequence,
  };
}

/** How and why something is done, whoever does it. */
const GENERAL_ASKS: ReadonlySet<string> = new Set(['HOWTO', 'WHY']);

const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ['latin', /\p{Script=Latin}/u], ['han', /\p{Script=Han}/u], ['kana', /[\p{Script=Hiragana}\p{Script=Katakana}]/u], ['hangul', /\p{Script=Hangul}/u], ['cyrillic', /\p{Script=Cyrillic}/u], ['arabic', /\p{Script=Arabic}/u], ['hebrew', /\p{Script=Hebrew}/u], ['greek', /\p{Script=Greek}/u],
];

/** Where no word asks, the mark does: "You deleted it?" */
function asksOf(units: readonly Unit[], text: string): readonly string[] {
  const asked = units.flatMap((unit, at) => askOf(unit, at === 0) ?? []);
  return asked.length === 0 && /[?？]\s*$/.test(text) ? ['?'] : asked;
}

function askOf({ kind, text, isName }: Unit, isFirst: boolean): string | null {
  if (kind === 'ask') return text;
  if (kind !== 'word' || isName) return null;
  return QUESTION_WORDS.get(text) ?? (isFirst && YES_NO_BEGINNINGS.has(text) ? `ASK ${SAME_FORMS.get(text) ?? text}` : null);
}

const hasNoun = (next: Unit | undefined): boolean => next !== undefined && (next.kind !== 'word' || next.isName || !NO_NOUNS.has(next.text));

interface Context {
  readonly isFirst: boolean;
  /** A noun may follow. */
  readonly hasNoun: boolean;
  readonly isGeneral: boolean;
  readonly isOneOrMany: boolean;
}

function toPieces(unit: Unit, context: Context): readonly Piece[] {
  const ask = askOf(unit, context.isFirst);
  if (ask !== null) return [{ role: 'asks', text: ask }];
  if (unit.kind === 'mark') return markPieces(unit.text, context);
  return unit.kind === 'word' && !unit.isName ? wordPieces(unit.text, context) : [plainPiece(unit)];
}

function plainPiece({ kind, text, isName }: Unit): Piece {
  if (kind === 'identifier') return { role: 'identifiers', text };
  if (kind === 'number') return { role: 'numbers', text };
  if (kind === 'quoted') return { role: 'quoted', text };
  return { role: !isName && NEGATIONS.has(text) ? 'negations' : 'words', text };
}

function markPieces(text: string, { isGeneral }: Context): readonly Piece[] {
  if (text === 'MINE' && isGeneral) return [];
  if (CHINESE_NEGATIONS.has(text)) return [{ role: 'negations', text }];
  if (CHINESE_OPPOSITES.has(text)) return [{ role: 'opposites', text }];
  return [{ role: CHINESE_QUANTITIES.has(text) ? 'quantities' : 'words', text }];
}

function wordPieces(word: string, { hasNoun, isGeneral, isOneOrMany }: Context): readonly Piece[] {
  if (EMPTY_WORDS.has(word) || (isGeneral && hasNoun && DETERMINERS.has(word))) return [];
  if (NEGATIONS.has(word)) return [{ role: 'negations', text: word }];
  if (QUANTITIES.has(word)) return [{ role: 'quantities', text: word }];
  const one = isOneOrMany ? (COUNTED.get(word) ?? word) : word;
  const text = SAME_FORMS.get(one) ?? SPELLINGS.get(one) ?? one;
  return [{ role: OPPOSITES.has(text) ? 'opposites' : 'words', text }];
}
