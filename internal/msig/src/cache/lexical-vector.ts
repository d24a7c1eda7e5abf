import { toQuestionForm } from './question/question-form.ts';
import { normalized } from './vector-store.ts';

/**
 * Vectors without a model: hashed words and their pieces. Texts with the same words are near, in
 * English and Chinese whatever their wording; they know no meaning, so a paraphrase with other
 * words is as far as any other text.
 */
export const LEXICAL_DIMENSIONS = 384;

const WORD_WEIGHT = 1;
/** Identifiers and numbers tell questions apart more than words do. */
const FACT_WEIGHT = 1.5;
const ASK_WEIGHT = 0.4;
/** Of three letters, all pieces of a word together; makes misspellings neighbours. */
const PIECES_WEIGHT = 0.6;
const PAIR_WEIGHT = 0.5;

/** null: nothing of it is a word. */
export function lexicalVector(text: string): Float32Array | null {
  const form = toQuestionForm(text);
  const vector = new Float32Array(LEXICAL_DIMENSIONS);
  const add = (feature: string, weight: number): void => {
    const hash = fnv1a(feature);
    const at = hash % LEXICAL_DIMENSIONS;
    vector[at] = (vector[at] ?? 0) + ((hash & 0x8000_0000) === 0 ? weight : -weight);
  };
  const facts = new Set([...form.identifiers, ...form.numbers, ...form.quoted]);
  for (const each of form.sequence) {
    add(`w ${each}`, facts.has(each) ? FACT_WEIGHT : WORD_WEIGHT);
    const pieces = piecesOf(each);
    for (const piece of pieces) add(`p ${piece}`, PIECES_WEIGHT / pieces.length);
  }
  for (const ask of form.asks) add(`a ${ask}`, ASK_WEIGHT);
  // Chinese characters mean something in pairs.
  for (let at = 1; at < form.sequence.length; at += 1) {
    const [former = '', latter = ''] = [form.sequence[at - 1], form.sequence[at]];
    if (IS_HAN.test(former) && IS_HAN.test(latter)) add(`h ${former}${latter}`, PAIR_WEIGHT);
  }
  return normalized(vector);
}

const IS_HAN = /^\p{Script=Han}$/u;

function piecesOf(word: string): readonly string[] {
  if (word.length < 4) return [];
  const framed = `<${word}>`;
  return Array.from({ length: framed.length - 2 }, (_, at) => framed.slice(at, at + 3));
}

/** 32 bits, of the UTF-16 units; not for secrets. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  // The lower bits of short texts are much alike.
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b_3c6d) >>> 0;
}
