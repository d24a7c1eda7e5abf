import { toQuestionForm } from './question/question-form.ts';
import { seenTextOf } from './answer-text.ts';
import type { KeptAnswer } from './kept-answer.ts';

export interface Comparison {
  readonly isAgreed: boolean;
  /** Share of the words of both that both have, 0 to 1. */
  readonly overlap: number;
}

/** Answers to one question share this much of their words, whatever their wording; chosen, not measured. */
const OVERLAP_MIN = 0.6;
const COMPARED_CHARS_MAX = 4_000;

/**
 * Do two answers say the same? Agreed: equal text, or most words in common and no other number,
 * address or negation. A model's free wording is often less alike than that, so the share of
 * disagreement is an upper bound of the false hits.
 */
export function compareAnswers(a: KeptAnswer, b: KeptAnswer): Comparison {
  const [one, other] = [seenTextOf(a), seenTextOf(b)].map((text) => text.trim().slice(0, COMPARED_CHARS_MAX));
  if (one === other) return { isAgreed: true, overlap: 1 };
  const [left, right] = [one, other].map((text) => toQuestionForm(text ?? ''));
  if (left === undefined || right === undefined) return { isAgreed: false, overlap: 0 };
  const words = new Set(left.sequence);
  const others = new Set(right.sequence);
  const common = [...words].filter((word) => others.has(word)).length;
  const overlap = words.size + others.size === 0 ? 0 : (2 * common) / (words.size + others.size);
  const sameFacts = (['identifiers', 'numbers', 'negations', 'opposites'] as const).every((key) => isSameSet(left[key], right[key]));
  return { isAgreed: sameFacts && overlap >= OVERLAP_MIN, overlap };
}

const isSameSet = (a: readonly string[], b: readonly string[]): boolean => JSON.stringify([...new Set(a)].sort()) === JSON.stringify([...new Set(b)].sort());
