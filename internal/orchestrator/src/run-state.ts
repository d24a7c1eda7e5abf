import type { ActStep, Agent, Approval, Decision, Lease, NewApproval, Run, RunSignals, Step, ThinkStep } from '@openeaap/kernel';
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
  /** `steps` is an outline: enough to decide and to act, not to think. */
  readonly isOutline: boolean;
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

/** The state with approvals that have just been opened, as the store will give them back. */
export function withOpened(state: RunState, opened: readonly NewApproval[], now: Date): RunState {
  if (opened.length === 0) return state;
  const approvals = [...state.signals.approvals, ...opened.map((approval) => toPending(state, approval, now))];
  return { ...state, signals: { ...state.signals, approvals } };
}

function toPending(state: RunState, approval: NewApproval, now: Date): Approval {
  const { timeoutMs, escalation, ...call } = approval;
  return {
    ...call,
    escalation: escalation.map((stage) => ({ at: new Date(now.getTime() + stage.afterMs), approvers: stage.approvers, recorded: false })),
    approvalsGiven: 0,
    round: 1,
    votes: [],
    tenantId: state.lease.tenantId,
    runId: state.lease.runId,
    editedArgs: null,
    status: 'pending',
    verdict: null,
    decidedBy: null,
    decidedAt: null,
    comment: null,
    createdAt: now,
    expiresAt: new Date(now.getTime() + timeoutMs),
    readAt: now,
  };
}

/** The agent, the policy's constraints on this think, or its decision on this call want nothing to be changed. */
export function isDryRun(state: RunState, decision: Decision): boolean {
  const think = lastThink(state)?.decision;
  return state.agent.configuration.dryRun || [think, decision].some((given) => given?.effect === 'allow' && given.constraints.dryRun);
}

export function tokensUsed(state: RunState): number {
  const total = state.steps.reduce((sum, step) => (step.kind === 'think' ? addUsage(sum, step.usage) : sum), { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 });
  return total.promptTokens + total.completionTokens;
}

/** The journal with new and changed steps put in place: step n is at n - 1, for they are numbered without a gap. */
export function withSteps(steps: readonly Step[], changed: readonly Step[]): readonly Step[] {
  if (changed.length === 0) return steps;
  const journal = [...steps];
  for (const step of changed) journal[step.no - 1] = step;
  return journal;
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
