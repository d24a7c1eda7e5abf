import { seenTextOf } from './answer-text.ts';
import type { KeptAnswer } from './kept-answer.ts';
import { toQuestionForm } from './question/question-form.ts';
import type { QuestionForm } from './question/question-form.ts';

export interface Comparison {
  readonly isAgreed: boolean;
  /** Share of the words of both that both have, 0 to 1. */
  readonly overlap: number;
}

/** Answers to one question share this much of their words, and one is at least this part of the other's length; chosen, not measured. */
const OVERLAP_MIN = 0.6;
/** Longer answers that differ are not looked into, and count as different. */
const COMPARED_CHARS_MAX = 8_000;
const FACTS = ['identifiers', 'numbers', 'quoted', 'negations', 'opposites'] as const;

const DIFFERENT: Comparison = { isAgreed: false, overlap: 0 };

/**
 * Do two answers say the same? An estimate. Agreed: equal text; or about as long, most words in
 * common, the same numbers, addresses, quotations, negations and opposites, the same names in the
 * same order, and not only the same words in another order. Free wording that says the same is
 * often counted as different, and a difference in words that are none of these may be missed.
 */
export function compareAnswers(a: KeptAnswer, b: KeptAnswer): Comparison {
  const [one, other] = [textOf(a), textOf(b)];
  if (one === null || other === null) return DIFFERENT;
  if (one === other) return { isAgreed: true, overlap: 1 };
  if (Math.max(one.length, other.length) > COMPARED_CHARS_MAX) return DIFFERENT;
  const [left, right] = [toQuestionForm(one), toQuestionForm(other)];
  const overlap = overlapOf(left, right);
  const isAsLong = Math.min(one.length, other.length) >= OVERLAP_MIN * Math.max(one.length, other.length);
  return { isAgreed: isAsLong && overlap >= OVERLAP_MIN && hasSameFacts(left, right) && !isTurnedAround(left, right), overlap };
}

function textOf(kept: KeptAnswer): string | null {
  try {
    return seenTextOf(kept).trim();
  } catch {
    return null;
  }
}

function overlapOf(left: QuestionForm, right: QuestionForm): number {
  const [words, others] = [new Set(left.sequence), new Set(right.sequence)];
  const common = [...words].filter((word) => others.has(word)).length;
  return words.size + others.size === 0 ? 0 : (2 * common) / (words.size + others.size);
}

const hasSameFacts = (left: QuestionForm, right: QuestionForm): boolean => FACTS.every((key) => bagOf(left[key]) === bagOf(right[key])) && left.names.join('\n') === right.names.join('\n');
const isTurnedAround = (left: QuestionForm, right: QuestionForm): boolean => bagOf(left.sequence) === bagOf(right.sequence) && left.sequence.join('\n') !== right.sequence.join('\n');
const bagOf = (texts: readonly string[]): string => JSON.stringify([...texts].sort());
