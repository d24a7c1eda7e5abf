import type { ClaimedRun, CommitResult, RunCommit } from '@openeaap/kernel';
import { PlatformError, isTerminal, toPlatformError } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import { EMPTY, merge } from './fragment.ts';
import type { Fragment } from './fragment.ts';
import { performActs } from './perform-acts.ts';
import type { Outcome } from './perform-think.ts';
import { performThink } from './perform-think.ts';
import type { Plan } from './plan.ts';
import { planFailure, planNext } from './plan-next.ts';
import type { RunState } from './run-state.ts';
import { withSteps } from './run-state.ts';
import { inSpan, underRoot } from './spans.ts';

/** Waits between tries while the store is away. */
const STORE_RETRY_MS = { first: 100, longest: 2_000 } as const;

/**
 * THE loop of a run. It rebuilds the state from the journal, plans the next thing, commits the plan
 * together with the outcome of what was done before, does it, and goes on until the run ends, waits,
 * or is somebody else's. Streaming and non-streaming are this one loop with another reader.
 *
 * `signal` ends it from outside: with reason `cancelled` the loop looks at the signals and ends the
 * run; with any other reason it lets go at once and writes nothing more, because the run belongs to
 * another node now or will after this one has stopped. Never rejects.
 */
export async function driveRun(claimed: ClaimedRun, deps: DriveDeps, signals: DriveSignals): Promise<void> {
  try {
    await underRoot({ traceId: claimed.run.traceId, spanId: claimed.rootSpanId }, () => drive(claimed, deps, signals));
  } catch (thrown) {
    const error = toPlatformError(thrown);
    const fields = { err: thrown, code: error.code, run_id: claimed.run.id, trace_id: claimed.run.traceId };
    if (signals.stop.aborted) deps.log.info(fields, 'let go of a run');
    else deps.log.error(fields, 'gave up on a run; it stays for the next claim');
  }
}

export interface DriveSignals {
  /** Let go of the run and write nothing more. */
  readonly stop: AbortSignal;
  /** Stop what is under way and look at the signals; renewed for each action. */
  readonly interrupt: () => AbortSignal;
}

async function drive(claimed: ClaimedRun, deps: DriveDeps, signals: DriveSignals): Promise<void> {
  let state = await rebuild(claimed, deps, signals.stop);
  let done: Outcome = { kind: 'done', fragment: EMPTY, failure: null };
  while (!signals.stop.aborted) {
    const before = settleOutcome(state, done);
    const plan = await planSafely(before, done, deps, signals.stop);
    const result = await commit(state, merge(fragmentOf(done), plan.fragment), plan, deps);
    if (result.kind === 'fenced') {
      deps.log.warn({ run_id: state.run.id, trace_id: state.run.traceId, epoch: state.lease.epoch }, 'lost the lease of a run');
      return;
    }
    if (result.kind === 'signalled') {
      state = { ...state, signals: await readSignals(state, deps, signals.stop) };
      continue;
    }
    const ended = plan.action.kind === 'stop';
    deps.watch.committed(state.run.id, result.lastSeq, ended && plan.action.end.status !== 'paused');
    if (ended) return finish(plan, deps, claimed);
    state = { ...plan.state, commitNo: state.commitNo + 1 };
    done = { kind: 'done', fragment: EMPTY, failure: null };
    if (result.signalNo !== state.signals.signalNo) {
      state = { ...state, signals: await readSignals(state, deps, signals.stop) };
      if (state.signals.cancelRequestedBy !== null) continue;
    }
    done = await perform(state, plan, deps, AbortSignal.any([signals.stop, signals.interrupt()]));
    if (done.kind === 'interrupted' || signals.interrupt().aborted) state = { ...state, signals: await readSignals(state, deps, signals.stop) };
  }
}

/** The state as the outcome leaves it; acts that were made are no longer merely prepared. */
function settleOutcome(state: RunState, done: Outcome): RunState {
  if (done.kind === 'interrupted') return { ...state, prepared: new Set() };
  if (done.fragment.steps.length === 0) return state;
  const made = new Set(done.fragment.steps.map((step) => step.no));
  return {
    ...state,
    steps: withSteps(state.steps, done.fragment.steps),
    prepared: new Set([...state.prepared].filter((no) => !made.has(no))),
  };
}

const fragmentOf = (done: Outcome): Fragment => (done.kind === 'done' ? done.fragment : EMPTY);

async function planSafely(state: RunState, done: Outcome, deps: DriveDeps, stop: AbortSignal): Promise<Plan> {
  if (done.kind === 'done' && done.failure !== null && state.signals.cancelRequestedBy === null) return planFailure(state, done.failure);
  try {
    return await inSpan('Orchestrator.Plan', { 'run.id': state.run.id, 'run.steps': state.steps.length }, () => patiently(() => planNext(state, deps), deps, stop));
  } catch (thrown) {
    if (stop.aborted) throw thrown;
    deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'planning failed');
    return planFailure(state, { code: 'internal', message: 'Something unexpected happened inside the platform.' });
  }
}

async function perform(state: RunState, plan: Plan, deps: DriveDeps, signal: AbortSignal): Promise<Outcome> {
  switch (plan.action.kind) {
    case 'think':
      return performThink(state, plan.action, deps, signal);
    case 'act':
      return performActs(state, plan.action.acts, deps, signal);
    case 'stop':
      return { kind: 'interrupted' };
  }
}

/** Pausing and ending hold only if no signal is unread; going on does not care (a signal is seen at the next look). */
async function commit(state: RunState, fragment: Fragment, plan: Plan, deps: DriveDeps): Promise<CommitResult> {
  const end = plan.action.kind === 'stop' ? plan.action.end : null;
  const request: RunCommit = {
    ...fragment,
    lease: state.lease,
    commitNo: state.commitNo,
    expectSignalNo: end === null ? null : state.signals.signalNo,
    to: end,
  };
  try {
    return await deps.store.commitRun(request);
  } catch (thrown) {
    if (toPlatformError(thrown).code === 'unavailable') throw thrown;
    deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'a commit was refused by the store');
    return failPlainly(state, deps);
  }
}

/** The store will never take what the step produced: the run ends without it, rather than hang. */
function failPlainly(state: RunState, deps: DriveDeps): Promise<CommitResult> {
  const failure = planFailure(state, { code: 'internal', message: 'The result of a step could not be stored.' });
  const end = failure.action.kind === 'stop' ? failure.action.end : null;
  return deps.store.commitRun({ ...failure.fragment, lease: state.lease, commitNo: state.commitNo, expectSignalNo: null, to: end });
}

function finish(plan: Plan, deps: DriveDeps, claimed: ClaimedRun): void {
  if (plan.action.kind !== 'stop' || !isTerminal(plan.action.end.status)) return;
  const { run } = claimed;
  const endedAt = deps.clock.now();
  const { status } = plan.action.end;
  deps.observe({ kind: 'run_ended', agentId: run.agentId, status, seconds: (endedAt.getTime() - run.createdAt.getTime()) / 1_000 });
  deps.endRootSpan({
    traceId: run.traceId,
    rootSpanId: claimed.rootSpanId,
    startedAt: run.createdAt,
    endedAt,
    status,
    agentName: run.agentName,
    runId: run.id,
    userId: run.principal.userId,
  });
  deps.log.info({ run_id: run.id, trace_id: run.traceId, status, agent: run.agentName }, 'run ended');
}

async function rebuild(claimed: ClaimedRun, deps: DriveDeps, stop: AbortSignal): Promise<RunState> {
  const { run, lease } = claimed;
  const [steps, runSignals, policy] = await patiently(
    () => Promise.all([deps.store.readSteps(lease.tenantId, lease.runId), deps.store.readSignals(lease.tenantId, lease.runId), deps.policy.load(run.tenantId, run.policyVersion)]),
    deps,
    stop,
  );
  return { run, agent: claimed.agent, lease, rootSpanId: claimed.rootSpanId, commitNo: claimed.commitNo, signals: runSignals, policy, steps, prepared: new Set() };
}

const readSignals = (state: RunState, deps: DriveDeps, stop: AbortSignal): Promise<RunState['signals']> =>
  patiently(() => deps.store.readSignals(state.lease.tenantId, state.lease.runId), deps, stop);

/** Tries a read again until the store is back or the run is not ours any more. */
async function patiently<T>(read: () => Promise<T>, deps: DriveDeps, stop: AbortSignal): Promise<T> {
  for (let waitMs: number = STORE_RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, STORE_RETRY_MS.longest)) {
    try {
      return await read();
    } catch (thrown) {
      if (toPlatformError(thrown).code !== 'unavailable' || stop.aborted) throw thrown;
      await deps.clock.sleep(waitMs, stop);
      if (stop.aborted) throw new PlatformError('fenced', 'This node has let go of the run.');
    }
  }
}
