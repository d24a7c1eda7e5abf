import type { ActStep, Agent, Approval, Lease, Run, RunSignals, Step, ThinkStep } from '@openeaap/kernel';
import { addUsage, isSettled } from '@openeaap/kernel';
import type { PinnedPolicy } from './port.ts';

/** All that a node knows of a run it owns. Rebuilt from the store at each claim; replaced, never changed. */
export interface RunState {
  readonly run: Run;
  readonly agent: Agent;
  readonly lease: Lease;
  readonly commitNo: number;
  readonly rootSpanId: string;
  readonly signals: RunSignals;
  readonly policy: PinnedPolicy | null;
  readonly steps: readonly Step[];
  /** Acts whose start this node has committed but not made yet. Every other `started` act has an unknown outcome (R4). */
  readonly prepared: ReadonlySet<number>;
}

export const lastThink = (state: RunState): ThinkStep | undefined => state.steps.findLast((step) => step.kind === 'think');

/** The acts of the newest think, in order. */
export function currentActs(state: RunState): readonly ActStep[] {
  const think = lastThink(state);
  if (think === undefined) return [];
  return state.steps.filter((step): step is ActStep => step.kind === 'act' && step.thinkNo === think.no);
}

export const openActs = (state: RunState): readonly ActStep[] => currentActs(state).filter((act) => !isSettled(act));

export const nextStepNo = (state: RunState): number => (state.steps.at(-1)?.no ?? 0) + 1;

export function approvalOf(state: RunState, act: ActStep): Approval | undefined {
  return act.approvalId === null ? undefined : state.signals.approvals.find((approval) => approval.id === act.approvalId);
}

export function tokensUsed(state: RunState): number {
  const total = state.steps.reduce((sum, step) => (step.kind === 'think' ? addUsage(sum, step.usage) : sum), { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 });
  return total.promptTokens + total.completionTokens;
}

/** The journal with new and changed steps put in place, still in order. */
export function withSteps(steps: readonly Step[], changed: readonly Step[]): readonly Step[] {
  if (changed.length === 0) return steps;
  const byNo = new Map(steps.map((step) => [step.no, step]));
  for (const step of changed) byNo.set(step.no, step);
  return [...byNo.values()].sort((a, b) => a.no - b.no);
}

/** Thinks in a row, up to the newest, that led to nothing: no usable reply, or only calls that could not be made. */
export function correctionsInARow(state: RunState): number {
  let count = 0;
  for (const think of state.steps.filter((step): step is ThinkStep => step.kind === 'think').reverse()) {
    const acts = state.steps.filter((step): step is ActStep => step.kind === 'act' && step.thinkNo === think.no);
    const erred = think.status === 'failed' || (acts.length > 0 && acts.every((act) => act.status === 'invalid'));
    if (!erred) return count;
    count += 1;
  }
  return count;
}
