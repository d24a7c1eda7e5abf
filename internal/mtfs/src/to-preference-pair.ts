import type { JsonValue } from '@openeaap/kernel';

/** A piece of feedback with the run that it is about. */
export interface CollectableFeedback {
  readonly score: -1 | 1;
  readonly correction: string | null;
  readonly input: JsonValue;
  /** null: the run ended without an answer. */
  readonly output: JsonValue | null;
}

/**
 * A preference example in the form that DPO trainers take (prompt, chosen, rejected: TRL's
 * "explicit prompt" preference format). With one of the answers missing it is an unpaired example,
 * as KTO takes it.
 */
export interface PreferenceExample {
  readonly prompt: string;
  readonly chosen: string | null;
  readonly rejected: string | null;
}

/**
 * Document section 16.2: (input, output, correction) becomes a pair: the expert's correction is
 * chosen over what the agent said. A thumb without words makes the answer a good or a bad example
 * by itself. null: there is nothing to learn from (no answer and no correction).
 */
export function toPreferenceExample(feedback: CollectableFeedback): PreferenceExample | null {
  const prompt = toText(feedback.input);
  const answer = feedback.output === null ? null : toText(feedback.output);
  const correction = feedback.correction?.trim() ?? '';
  if (correction !== '' && correction !== answer) return { prompt, chosen: correction, rejected: answer };
  if (answer === null) return null;
  return feedback.score === 1 ? { prompt, chosen: answer, rejected: null } : { prompt, chosen: null, rejected: answer };
}

const toText = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value));
