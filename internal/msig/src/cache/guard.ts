import { createHmac } from 'node:crypto';
import { toQuestionForm } from './question/question-form.ts';
import type { QuestionForm } from './question/question-form.ts';

/**
 * Vectors say that two questions are near; this says whether they are the same. Near ones often are
 * not: another address, another year, `disable` for `enable`, A and B changed around. So everything
 * that carries meaning must be equal: identifiers, numbers, quotations, negations, opposites,
 * quantities, what is asked, the words themselves, and their order. Only listed wordings may differ.
 */
export const GUARD_REASONS = ['language', 'identifiers', 'numbers', 'quoted', 'negation', 'opposites', 'quantity', 'question_type', 'words', 'order'] as const;
export type GuardReason = (typeof GUARD_REASONS)[number];

export type GuardVerdict = { readonly same: true } | { readonly same: false; readonly reason: GuardReason };

export function isSameQuestion(a: string, b: string): GuardVerdict {
  return compareFacts(toFacts(toQuestionForm(a), (text) => text), toFacts(toQuestionForm(b), (text) => text));
}

/** Raised with every change of what is the same question: what another version stored is not compared. */
export const GUARD_VERSION = 2;

/** One text for each reason, in their order. */
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
  return [bag(form.scripts), bag(form.identifiers), bag(form.numbers), bag(form.quoted), bag(form.negations), bag(form.opposites), bag(form.quantities), JSON.stringify(form.asks), bag(form.words), JSON.stringify(form.sequence)].map(hash);
}

function compareFacts(a: Facts, b: Facts): GuardVerdict {
  const reason = GUARD_REASONS.find((_reason, at) => a[at] === undefined || a[at] !== b[at]);
  return reason === undefined ? { same: true } : { same: false, reason };
}
