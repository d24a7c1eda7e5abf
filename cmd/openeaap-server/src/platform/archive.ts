import type { AuditFact } from '@openeaap/kernel';
import { LIMITS, PlatformError, isUuid } from '@openeaap/kernel';
import type { ArchiveDelete, ArchiveQuery, Caller, PlatformPort } from '@openeaap/http';
import type { ArchivableRun, DeletableRun } from '@openeaap/store';
import { appendAudit, deleteRuns, listArchivableRuns, listDeletableRuns, readRunLines, sumArchivableRuns } from '@openeaap/store';
import type { PlatformContext } from './context.ts';

type ArchivePort = Pick<PlatformPort, 'summarizeArchive' | 'readArchivableRuns' | 'deleteArchivedRuns'>;

/**
 * Most steps that one deletion takes away. It is one transaction of the commit lane, for which the
 * commits of this node wait: at 500 steps a few tens of milliseconds.
 */
const STEPS_PER_DELETE = 500;

/** Reading and deleting old runs. What is deleted is what was read: the caller says which, and the store compares. */
export function createArchivePort(context: PlatformContext): ArchivePort {
  const { pool } = context;
  return {
    summarizeArchive: async (caller, finishedBefore) => {
      refuseYoung(context, finishedBefore);
      return sumArchivableRuns(pool, caller.principal.tenantId, finishedBefore);
    },
    readArchivableRuns: (caller, query, signal) => readLines(context, caller, query, signal),
    deleteArchivedRuns: async (caller, request) => {
      refuseYoung(context, request.finishedBefore);
      const deletable = await listDeletableRuns(pool, caller.principal.tenantId, request.runs, request.finishedBefore);
      const deleted: string[] = [];
      for (const part of toParts(deletable)) deleted.push(...(await deletePart(context, caller, request, part)));
      const gone = new Set(deleted);
      return { deleted, kept: request.runs.map(({ id }) => id).filter((id) => !gone.has(id)) };
    },
  };
}

/** A run's idempotency key is remembered as long as the run: who sends a request again within days must find it. */
function refuseYoung(context: PlatformContext, finishedBefore: Date): void {
  if (finishedBefore.getTime() <= context.clock.now().getTime() - LIMITS.archiveMinimumAgeMs) return;
  const days = LIMITS.archiveMinimumAgeMs / 86_400_000;
  throw new PlatformError('invalid_input', `Only runs that ended at least ${days} days ago can be archived: until then their idempotency keys must be remembered. Name an earlier time.`, { details: { field: 'finished_before', minimumDays: days } });
}

async function* readLines(context: PlatformContext, caller: Caller, query: ArchiveQuery, signal: AbortSignal): AsyncGenerator<string> {
  refuseYoung(context, query.finishedBefore);
  const { tenantId } = caller.principal;
  const runs = await listArchivableRuns(context.pool, { tenantId, finishedBefore: query.finishedBefore, after: query.after === null ? null : parsePlace(query.after), limit: query.limit });
  for (const run of runs) {
    let lines = 0;
    if (query.content === 'all') {
      for await (const line of readRunLines(context.pool, tenantId, run.id)) {
        if (signal.aborted) return;
        lines += 1;
        yield line;
      }
    }
    yield JSON.stringify({ kind: 'run_end', run_id: run.id, last_seq: run.lastSeq, lines });
  }
  const last = runs.at(-1);
  yield JSON.stringify({ kind: 'page_end', runs: runs.length, next: last === undefined || runs.length < query.limit ? null : JSON.stringify([last.finishedAt, last.id]) });
}

function parsePlace(text: string): Pick<ArchivableRun, 'id' | 'finishedAt'> {
  try {
    const [finishedAt, id] = JSON.parse(text) as [unknown, unknown];
    if (typeof finishedAt === 'string' && !Number.isNaN(Date.parse(finishedAt)) && typeof id === 'string' && isUuid(id)) return { finishedAt, id };
  } catch {
    // Said below.
  }
  throw new PlatformError('invalid_input', 'This place was not given by this list.', { details: { field: 'after' } });
}

function toParts(runs: readonly DeletableRun[]): readonly (readonly DeletableRun[])[] {
  const parts: DeletableRun[][] = [];
  let steps = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    if (steps + run.stepCount > STEPS_PER_DELETE) {
      parts.push([]);
      steps = 0;
    }
    parts.at(-1)?.push(run);
    steps += run.stepCount;
  }
  return parts;
}

/** All of them with their audit rows, or none: one that has changed in this very moment is for the next time. */
async function deletePart(context: PlatformContext, caller: Caller, request: ArchiveDelete, part: readonly DeletableRun[]): Promise<readonly string[]> {
  const facts = part.map((run) => toFact(caller, request, run));
  const done = await context.lane.withAudit(facts, async (db, rows) => {
    if ((await deleteRuns(db, caller.principal.tenantId, part, request.finishedBefore)) !== part.length) return null;
    await appendAudit(db, rows);
    return true;
  });
  return done === null ? [] : part.map(({ id }) => id);
}

function toFact(caller: Caller, request: ArchiveDelete, run: DeletableRun): AuditFact {
  return {
    tenantId: caller.principal.tenantId,
    runId: run.id,
    traceId: run.traceId,
    actor: `user:${caller.principal.userId}`,
    action: 'run_archive',
    phase: 'event',
    decision: null,
    outcome: request.outcome,
    rule: null,
    stepNo: null,
    metadata: { key_id: caller.keyId, steps: run.stepCount, events: run.lastSeq },
    input: null,
    output: null,
  };
}
