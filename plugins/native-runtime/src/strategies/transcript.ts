import type { ActStep, ChatMessage, JsonValue, ThinkStep } from '@openeaap/kernel';
import type { ThinkRequest } from '@openeaap/adapter';

/** The input as the user's message: text as it is, anything else as JSON. */
export function inputMessage(input: JsonValue): ChatMessage {
  return { role: 'user', content: typeof input === 'string' ? input : JSON.stringify(input, null, 2) };
}

export interface Turn {
  readonly think: ThinkStep;
  readonly acts: readonly ActStep[];
}

/** The journal as turns: each think with the acts that came of it. */
export function toTurns(request: Pick<ThinkRequest, 'journal'>): readonly Turn[] {
  const acts = request.journal.filter((step): step is ActStep => step.kind === 'act');
  return request.journal
    .filter((step): step is ThinkStep => step.kind === 'think')
    .map((think) => ({ think, acts: acts.filter((act) => act.thinkNo === think.no) }));
}

/** Tells the model what was wrong with a reply that could not be used. */
export function correctionMessage(think: ThinkStep): ChatMessage {
  return { role: 'user', content: `Your last reply could not be used: ${think.error?.message ?? 'it was empty'} Reply again.` };
}

/** The state that the strategy left behind last. */
export function lastState(request: Pick<ThinkRequest, 'journal'>): JsonValue {
  const done = request.journal.findLast((step): step is ThinkStep => step.kind === 'think' && step.status === 'done');
  return done?.strategyState ?? null;
}

/** Corrections since the last think that worked. */
export function openCorrections(request: Pick<ThinkRequest, 'journal'>): readonly ChatMessage[] {
  const thinks = request.journal.filter((step): step is ThinkStep => step.kind === 'think');
  const lastDone = thinks.findLastIndex((think) => think.status === 'done');
  return thinks.slice(lastDone + 1).map(correctionMessage);
}

/** What every request has in common. */
export function chatBase(request: ThinkRequest): { readonly model: string; readonly temperature: number; readonly maxTokens?: number } {
  const { model } = request.agent;
  const base = { model: model.name, temperature: model.temperature };
  const maxTokens = request.constraints.maxTokens > 0 ? request.constraints.maxTokens : model.maxTokens;
  return maxTokens > 0 ? { ...base, maxTokens } : base;
}
