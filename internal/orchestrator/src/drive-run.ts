import type { ClaimedRun, CommitResult, LinkedSignal, RunCommit, Step } from '@openeaap/kernel';
import { isTerminal, linkSignals, toPlatformError } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import { escalateApprovals } from './escalate-approvals.ts';
import { EMPTY, isEmpty, merge } from './fragment.ts';
import type { Fragment } from './fragment.ts';
import { patiently, toPatientStore } from './patient-store.ts';
import { performActs } from './perform-acts.ts';
import type { Outcome } from './perform-think.ts';
import { performThink } from './perform-think.ts';
import type { Plan } from './plan.ts';
import { planFailure, planNext } from './plan-next.ts';
import type { RunState } from './run-state.ts';
import { lastThink, withOpened, withSteps } from './run-state.ts';
import { inSpan, underRoot } from './spans.ts';

/** A run that cannot be driven is left to the next claim, but not at once: a fault that stays must not spin. */
const GIVE_UP_MS = 5_000;
/** Waits between tries to end a run whose step the store will not take. */
const FAIL_RETRY_MS = { first: 500, longest: 30_000 } as const;

/**
 * THE loop of a run. It rebuilds the state from the journal, plans the next thing, commits the plan
 * together with the outcome of what was done before, does it, and goes on until the run ends, waits,
 * or is somebody else's. Streaming and non-streaming are this one loop with another reader.
 * Never rejects.
 */
export async function driveRun(claimed: ClaimedRun, deps: DriveDeps, signals: DriveSignals): Promise<void> {
  try {
    await underRoot({ traceId: claimed.run.traceId, spanId: claimed.rootSpanId }, () => drive(claimed, deps, signals));
  } catch (thrown) {
    const error = toPlatformError(thrown);
    const fields = { err: thrown, code: error.code, run_id: claimed.run.id, trace_id: claimed.run.traceId };
    if (signals.stop.aborted) return deps.log.info(fields, 'let go of a run');
    deps.log.error(fields, 'gave up on a run; it stays for the next claim');
    await deps.clock.sleep(GIVE_UP_MS, signals.stop);
  }
}

/** How a run is stopped from outside. */
export interface DriveSignals {
  /** Let go of the run and write nothing more: it belongs to another node now, or will soon. */
  readonly stop: AbortSignal;
  /** Begin nothing more: write down what was done and leave the rest to the next node. */
  readonly rest: AbortSignal;
  /** Stops what is under way, so that the loop looks at the signals that people have sent (R7). */
  readonly interrupt: () => AbortSignal;
  /** The interrupt has been heard: from now on `interrupt` gives a fresh signal. */
  readonly renewInterrupt: () => void;
}

const NOTHING_DONE: Outcome = { kind: 'done', fragment: EMPTY, failure: null };

async function drive(claimed: ClaimedRun, deps: DriveDeps, signals: DriveSignals): Promise<void> {
  const halt = createHalt(signals);
  try {
    await driveUntil(halt, claimed, deps, signals);
  } finally {
    halt.release();
  }
}

/** Aborts what is under way, by either signal. One for all actions until it is used up: most of them take less time than to make one. */
interface Halt {
  readonly signal: () => AbortSignal;
  /** After the interrupt has been renewed. */
  readonly renew: () => void;
  readonly release: () => void;
}

function createHalt(signals: DriveSignals): Halt {
  const link = (): LinkedSignal => linkSignals([signals.stop, signals.interrupt()]);
  let linked = link();
  return {
    signal: () => linked.signal,
    renew: () => {
      linked.release();
      linked = link();
    },
    release: () => linked.release(),
  };
}

async function driveUntil(halt: Halt, claimed: ClaimedRun, given: DriveDeps, signals: DriveSignals): Promise<void> {
  const deps: DriveDeps = { ...given, store: toPatientStore(given.store, given, signals.stop) };
  let state = await rebuild(claimed, deps, signals.stop);
  let done: Outcome = NOTHING_DONE;
  while (!signals.stop.aborted) {
    const before = settleOutcome(state, done, deps);
    const resting = signals.rest.aborted && mayRest(before, done);
    if (resting && isEmpty(done.fragment)) return;
    const wanted = resting ? leave(before) : await planSafely(before, done, deps, signals.stop);
    const { result, plan } = await commit(state, merge(done.fragment, wanted.fragment), wanted, deps, signals.stop);
    if (result.kind === 'fenced') {
      deps.log.warn({ run_id: state.run.id, trace_id: state.run.traceId, epoch: state.lease.epoch }, 'lost the lease of a run');
      return;
    }
    if (result.kind === 'signalled') {
      state = { ...state, signals: await readSignals(state, deps) };
      continue;
    }
    const end = plan.action.kind === 'stop' ? plan.action.end : null;
    deps.watch.committed(state.run.id, result.lastSeq, end !== null && isTerminal(end.status));
    if (end !== null) return finish(plan, deps, claimed);
    if (plan.action.kind === 'leave') return;
    state = withOpened({ ...plan.state, commitNo: state.commitNo + 1 }, plan.fragment.openApprovals, deps.clock.now());
    done = NOTHING_DONE;
    if (result.signalNo !== state.signals.signalNo) {
      state = { ...state, signals: await readSignals(state, deps) };
      if (state.signals.cancelRequestedBy !== null) continue;
    }
    if (plan.action.kind === 'think' && state.isOutline) {
      // All that the state knows has just been committed.
      state = { ...state, steps: await deps.store.readSteps(state.lease.tenantId, state.lease.runId), isOutline: false };
    }
    done = await performSafely(state, plan, deps, halt.signal());
    if (signals.interrupt().aborted) {
      // Renewed before the look: an interrupt during the look is heard by the next action.
      signals.renewInterrupt();
      halt.renew();
      state = { ...state, signals: await readSignals(state, deps) };
    }
  }
}

/** The state as the outcome leaves it; acts that were made, or may have been, are no longer merely prepared. */
function settleOutcome(state: RunState, done: Outcome, deps: DriveDeps): RunState {
  if (done.kind === 'interrupted') return { ...state, prepared: new Set() };
  const made = new Set(done.fragment.steps.map((step) => step.no));
  const settled: RunState = {
    ...state,
    steps: withSteps(state.steps, done.fragment.steps),
    prepared: new Set([...state.prepared].filter((no) => !made.has(no))),
  };
  return withOpened(settled, done.fragment.openApprovals, deps.clock.now());
}

/** A run that is about to end anyway is ended here; so is what was prepared and must not look as if it had been begun. */
const mayRest = (state: RunState, done: Outcome): boolean =>
  state.prepared.size === 0 && (done.kind === 'interrupted' || done.failure === null) && (lastThink(state)?.proposal?.output ?? null) === null;

const leave = (state: RunState): Plan => ({ action: { kind: 'leave' }, fragment: EMPTY, state });

async function planSafely(state: RunState, done: Outcome, deps: DriveDeps, stop: AbortSignal): Promise<Plan> {
  if (done.kind === 'done' && done.failure !== null && state.signals.cancelRequestedBy === null) return planFailure(state, done.failure, deps);
  try {
    return await inSpan('Orchestrator.Plan', { 'run.id': state.run.id, 'run.steps': state.steps.length }, () => planNext(state, deps));
  } catch (thrown) {
    if (stop.aborted) throw thrown;
    deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'planning failed');
    return planFailure(state, { code: 'internal', message: 'Something unexpected happened inside the platform.' }, deps);
  }
}

/** Nothing that breaks on the way leaves the loop: a broken think ends the run, a broken call has an unknown outcome (R4). */
async function performSafely(state: RunState, plan: Plan, deps: DriveDeps, signal: AbortSignal): Promise<Outcome> {
  try {
    return await perform(state, plan, deps, signal);
  } catch (thrown) {
    if (signal.aborted) return { kind: 'interrupted', fragment: EMPTY };
    deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'an action broke');
    if (plan.action.kind === 'act') return { kind: 'interrupted', fragment: EMPTY };
    return { kind: 'done', fragment: EMPTY, failure: { code: 'internal', message: 'Something unexpected happened inside the platform.' } };
  }
}

async function perform(state: RunState, plan: Plan, deps: DriveDeps, signal: AbortSignal): Promise<Outcome> {
  switch (plan.action.kind) {
    case 'think':
      return performThink(state, plan.action, deps, signal);
    case 'act':
      return performActs(state, plan.action.acts, deps, signal);
    case 'stop':
    case 'leave':
      return { kind: 'interrupted', fragment: EMPTY };
  }
}

/** What was committed: the plan as it was wanted, or the end of the run in its place. */
interface Committed {
  readonly result: CommitResult;
  readonly plan: Plan;
}

/** Pausing and ending hold only if no signal is unread; going on does not care (a signal is seen at the next look). */
async function commit(state: RunState, fragment: Fragment, plan: Plan, deps: DriveDeps, stop: AbortSignal): Promise<Committed> {
  const end = plan.action.kind === 'stop' ? plan.action.end : null;
  const request = toCommit(state, fragment, end, end === null ? null : state.signals.signalNo);
  try {
    return { result: await deps.store.commitRun(request), plan };
  } catch (thrown) {
    if (stop.aborted) throw thrown;
    deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'a commit was refused by the store');
    return failPlainly(state, deps, stop);
  }
}

const toCommit = (state: RunState, fragment: Fragment, to: RunCommit['to'], expectSignalNo: number | null): RunCommit => ({
  lease: state.lease,
  commitNo: state.commitNo,
  expectSignalNo,
  to,
  journal: state.steps,
  steps: fragment.steps,
  events: fragment.events,
  audit: fragment.audit,
  openApprovals: fragment.openApprovals,
  expireApprovals: fragment.expireApprovals,
  usage: fragment.usage,
  settlements: fragment.settlements,
});

/** The store will never take what the step produced: the run ends without it, rather than hang or go on without a record. */
async function failPlainly(state: RunState, deps: DriveDeps, stop: AbortSignal): Promise<Committed> {
  const plan = planFailure({ ...state, prepared: new Set() }, { code: 'internal', message: 'The result of a step could not be stored.' }, deps);
  const to = plan.action.kind === 'stop' ? plan.action.end : null;
  for (let waitMs: number = FAIL_RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, FAIL_RETRY_MS.longest)) {
    try {
      const result = await deps.store.commitRun(toCommit(state, plan.fragment, to, null));
      return { result, plan };
    } catch (thrown) {
      if (stop.aborted) throw thrown;
      deps.log.error({ err: thrown, run_id: state.run.id, trace_id: state.run.traceId }, 'the end of a run was refused by the store');
      await deps.clock.sleep(waitMs, stop);
      if (stop.aborted) throw thrown;
    }
  }
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
  const [steps, runSignals, policy] = await Promise.all([
    deps.store.readOutline(lease.tenantId, lease.runId),
    deps.store.readSignals(lease.tenantId, lease.runId),
    patiently(() => deps.policy.load(run.tenantId, run.policyVersion), deps, stop),
  ]);
  const escalated = await escalateApprovals(run, runSignals.approvals, { store: deps.store, nodeId: lease.nodeId });
  const signals = escalated ? await deps.store.readSignals(lease.tenantId, lease.runId) : runSignals;
  return { run, agent: claimed.agent, lease, rootSpanId: claimed.rootSpanId, commitNo: claimed.commitNo, signals, policy, steps, isOutline: isOutline(steps), prepared: new Set() };
}

/** Is there anything that an outline leaves out? */
function isOutline(steps: readonly Step[]): boolean {
  const newest = steps.findLast((step) => step.kind === 'think')?.no ?? 0;
  return steps.some((step) => step.no < newest);
}

const readSignals = (state: RunState, deps: DriveDeps): Promise<RunState['signals']> => deps.store.readSignals(state.lease.tenantId, state.lease.runId);
