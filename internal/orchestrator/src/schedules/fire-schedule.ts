import type { AuditFact, FireOutcome, ScheduleError } from '@openeaap/kernel';
import { LIMITS, isTerminal, toPlatformError } from '@openeaap/kernel';
import type { PreviousRun } from './count-failures.ts';
import { countFailures } from './count-failures.ts';
import type { FirePlan } from './plan-fire.ts';
import { planFire } from './plan-fire.ts';
import type { DueSchedule, SchedulerDeps, Settlement } from './port.ts';

/** What was tried, before it is written down. */
interface Attempt {
  readonly outcome: FireOutcome | null;
  readonly runId: string | null;
  readonly isNewRun: boolean;
  readonly traceId: string;
  readonly error: ScheduleError | null;
}

const NOTHING: Attempt = { outcome: null, runId: null, isNewRun: false, traceId: '', error: null };

/**
 * Makes one fire of a due schedule: first the run, then the record of it and the next time. The run's
 * idempotency key is made of the schedule and the time of the fire. So whoever is killed in between, the
 * fire is made again, finds its run, and goes on: none is lost and none is doubled.
 *
 * A fire that cannot be started is a result, written down like any other: the schedule goes on.
 * Errors: unavailable (the store); then nothing is settled, and the fire is made when the claim is over.
 */
export async function fireSchedule(schedule: DueSchedule, now: Date, deps: SchedulerDeps): Promise<void> {
  const plan = planSafely(schedule, now);
  const previous = schedule.lastRunId === null ? null : await deps.store.getRun(schedule.tenantId, schedule.lastRunId);
  const attempt = 'error' in plan ? { ...NOTHING, outcome: 'failed' as const, error: plan.error } : await attemptFire(schedule, plan, previous, deps);
  const times: FirePlan = 'error' in plan ? { fireAt: schedule.nextAt, nextAt: null, missedFrom: null } : plan;
  const failures = countFailures(schedule, previous) + (attempt.outcome === 'failed' ? 1 : 0);
  const facts = attempt.outcome === null ? [] : toFacts(schedule, times, attempt, failures);
  const isWritten = await deps.store.settle(toSettlement(schedule, times, attempt, failures, facts));
  if (attempt.isNewRun) deps.wakeNode();
  if (isWritten) tell(schedule, times, attempt, failures, deps);
}

/** A schedule that was stored can be fired; if it cannot any more (a newer parser), it must not stop silently. */
function planSafely(schedule: DueSchedule, now: Date): FirePlan | { readonly error: ScheduleError } {
  try {
    return planFire(schedule, now);
  } catch (thrown) {
    return { error: { code: 'invalid_input', message: `The time of the next fire cannot be found (${thrown instanceof Error ? thrown.message : 'unknown'}). Set \`cron\` again.` } };
  }
}

async function attemptFire(schedule: DueSchedule, plan: FirePlan, previous: PreviousRun, deps: SchedulerDeps): Promise<Attempt> {
  if (plan.fireAt === null) return plan.missedFrom === null ? NOTHING : { ...NOTHING, outcome: 'missed' };
  if (schedule.overlap === 'skip' && previous !== null && !isTerminal(previous.status)) return { ...NOTHING, outcome: 'skipped' };
  const fireAt = plan.fireAt.toISOString();
  const traceId = deps.ids.newTraceId();
  try {
    const principal = await deps.store.findUser(schedule.tenantId, schedule.userId);
    const { runId, replayed } = await deps.acceptRun({
      agent: { name: schedule.agentName, ...(schedule.agentVersion === null ? {} : { version: schedule.agentVersion }) },
      principal,
      input: schedule.input,
      idempotencyKey: `schedule:${schedule.id}:${fireAt}`,
      source: `schedule:${schedule.name}`,
      // The schedule may have been changed between a first try and this one; the fire is the same.
      identity: { schedule: schedule.id, fire_at: fireAt },
      traceId,
      priority: schedule.priority,
    });
    return { outcome: 'started', runId, isNewRun: !replayed, traceId, error: null };
  } catch (thrown) {
    const error = toPlatformError(thrown);
    if (error.code === 'unavailable') throw error;
    return { ...NOTHING, outcome: 'failed', error: { code: error.code, message: error.message } };
  }
}

function toSettlement(schedule: DueSchedule, times: FirePlan, attempt: Attempt, failures: number, audit: readonly AuditFact[]): Settlement {
  const { outcome, runId, isNewRun, error } = attempt;
  return {
    tenantId: schedule.tenantId,
    scheduleId: schedule.id,
    expectedNextAt: schedule.nextAt,
    nextAt: times.nextAt,
    fireAt: times.fireAt,
    outcome,
    runId,
    isNewRun,
    error,
    failures,
    audit,
  };
}

function toFacts(schedule: DueSchedule, times: FirePlan, attempt: Attempt, failures: number): readonly AuditFact[] {
  const fact: AuditFact = {
    tenantId: schedule.tenantId,
    runId: attempt.runId,
    traceId: attempt.traceId,
    actor: `schedule:${schedule.name}`,
    action: 'schedule_fire',
    phase: 'event',
    decision: null,
    outcome: attempt.outcome,
    rule: null,
    stepNo: null,
    metadata: {
      schedule: schedule.name,
      schedule_id: schedule.id,
      user_id: schedule.userId,
      fire_at: times.fireAt?.toISOString() ?? null,
      missed_from: times.missedFrom?.toISOString() ?? null,
      next_at: times.nextAt?.toISOString() ?? null,
      failures_in_a_row: failures,
      ...(attempt.error === null ? {} : { error_code: attempt.error.code }),
    },
    input: null,
    output: attempt.error?.message ?? null,
  };
  return isAlarming(failures, attempt) ? [fact, { ...fact, outcome: 'alarm', output: `The schedule has failed ${failures} times in a row; it goes on.` }] : [fact];
}

/** A skip or a miss says nothing new about what fails. */
const isAlarming = (failures: number, attempt: Attempt): boolean => failures >= LIMITS.scheduleAlarmFailures && (attempt.outcome === 'failed' || attempt.outcome === 'started');

/** Logged once, here: a schedule that fails goes on, and nobody waits for its answer. */
function tell(schedule: DueSchedule, times: FirePlan, attempt: Attempt, failures: number, deps: SchedulerDeps): void {
  const fields = { schedule: schedule.name, schedule_id: schedule.id, tenant_id: schedule.tenantId, fire_at: times.fireAt?.toISOString() ?? null, run_id: attempt.runId, outcome: attempt.outcome };
  if (attempt.outcome === null) return deps.log.info(fields, 'a schedule was moved to its next fire; the rules of its time zone have changed');
  const alarming = isAlarming(failures, attempt);
  deps.observe({ kind: 'schedule_fire', outcome: attempt.outcome, alarming });
  if (times.missedFrom !== null) deps.log.warn({ ...fields, missed_from: times.missedFrom.toISOString() }, 'fires of a schedule were missed and are not caught up with');
  if (times.nextAt === null) deps.log.error(fields, 'a schedule has no next fire');
  if (alarming) deps.log.error({ ...fields, failures_in_a_row: failures, code: attempt.error?.code }, 'a schedule fails again and again; it goes on');
  else if (attempt.error !== null) deps.log.warn({ ...fields, code: attempt.error.code }, 'a fire of a schedule started nothing');
}
