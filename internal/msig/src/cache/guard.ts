import { createHmac } from 'node:crypto';
import { toQuestionForm } from './question/question-form.ts';
import type { QuestionForm } from './question/question-form.ts';

/**
 * Vectors say that two questions are near; this says whether they are the same. Near ones often are
 * not: another address, another year, `disable` for `enable`, A and B changed around. So everything
 * that carries meaning must be equal: identifiers, numbers, quotations, negations, opposites,
 * quantities, what is asked, the words themselves, and their order where it matters. Wording may
 * differ: politeness, inflection, a few synonyms, word order without direction.
 */
export const GUARD_REASONS = ['language', 'identifiers', 'numbers', 'quoted', 'negation', 'opposites', 'quantity', 'question_type', 'words', 'order'] as const;
export type GuardReason = (typeof GUARD_REASONS)[number];

export type GuardVerdict = { readonly same: true } | { readonly same: false; readonly reason: GuardReason };

export function isSameQuestion(a: string, b: string): GuardVerdict {
  return compareFacts(toFacts(toQuestionForm(a), (text) => text), toFacts(toQuestionForm(b), (text) => text));
}

/** One text for each reason, in their order; then the order once more as it is when parts are turned around, nothing where they may not be. */
type Facts = readonly string[];

/** Facts of a question as they are stored: keyed hashes, from which nobody reads what was asked. */
export function factsOf(text: string, hashKey: string): string {
  const hash = (fact: string): string => (fact === '[]' ? '' : createHmac('sha256', hashKey).update(fact).digest('base64url').slice(0, 16));
  return toFacts(toQuestionForm(text), hash).join(' ');
}

/** Of facts that were made with one key. */
export function compareStoredFacts(a: string, b: string): GuardVerdict {
  return compareFacts(a.split(' '), b.split(' '));
}

function toFacts(form: QuestionForm, hash: (fact: string) => string): Facts {
  const bag = (texts: readonly string[]): string => JSON.stringify([...texts].sort());
  return [
    bag(form.scripts), bag(form.identifiers), bag(form.numbers), bag(form.quoted), bag(form.negations), bag(form.opposites), bag(form.quantities), JSON.stringify(form.asks), bag(form.words), JSON.stringify(form.sequence),
    JSON.stringify(form.isTurnable ? leastRotation(form.sequence) : []),
  ].map(hash);
}

function compareFacts(a: Facts, b: Facts): GuardVerdict {
  const isTurned = isTurnable(a) && a[GUARD_REASONS.length] === b[GUARD_REASONS.length];
  for (const [at, reason] of GUARD_REASONS.entries()) {
    // Facts that are missing came from another version.
    if (a[at] === undefined || (a[at] !== b[at] && !(reason === 'order' && isTurned))) return { same: false, reason };
  }
  return { same: true };
}

const isTurnable = (facts: Facts): boolean => (facts[GUARD_REASONS.length] ?? NOTHING) !== NOTHING && facts[GUARD_REASONS.length] !== '';
const NOTHING = '[]';

/** Longer questions are compared as they stand. */
const TURNED_MAX = 60;

/** The same for all that differ only by where they begin; a swap of two among more is none of those. */
function leastRotation(texts: readonly string[]): readonly string[] {
  if (texts.length > TURNED_MAX) return texts;
  let least = texts;
  for (let at = 1; at < texts.length; at += 1) {
    const turned = [...texts.slice(at), ...texts.slice(0, at)];
    if (isBefore(turned, least)) least = turned;
  }
  return least;
}

function isBefore(a: readonly string[], b: readonly string[]): boolean {
  for (const [at, text] of a.entries()) {
    const other = b[at] ?? '';
    if (text !== other) return text < other;
  }
  return false;
}
