import type { LineageRef, Principal, Run } from '@openeaap/kernel';
import { PlatformError, isJsonObject, isUuid } from '@openeaap/kernel';
import type { Caller, PlatformPort, RunDetail } from '@openeaap/http';
import { actsForOthers } from '@openeaap/http';
import type { AgentReference, RunRequest } from '@openeaap/orchestrator';
import { acceptRun, cancelRun } from '@openeaap/orchestrator';
import { findArchiving, findUser, getRun, listRuns, readEvents, readSteps } from '@openeaap/store';
import type { RunDetail as StoredRunDetail } from '@openeaap/store';
import { toDedupKey } from '../triggers.ts';
import type { PlatformContext } from './context.ts';
import { ENDED, announceDue } from './context.ts';
import { pageById } from './page.ts';

type RunPort = Pick<
  PlatformPort,
  'createRun' | 'listRuns' | 'getRun' | 'listSteps' | 'listEvents' | 'openEvents' | 'cancelRun' | 'retryRun' | 'listLineage' | 'fireTrigger'
>;

/** A trigger's event and a schedule's fire are runs once: nobody else may take their keys. */
const RESERVED_KEYS = ['trigger:', 'schedule:'] as const;

export function createRunPort(context: PlatformContext): RunPort {
  const { pool } = context;
  return {
    createRun: async (caller, request) => {
      refuseReservedKey(request.idempotencyKey);
      const principal = request.userId === null ? caller.principal : await findUser(pool, caller.principal.tenantId, request.userId);
      return startRun(context, {
        agent: toAgentReference(request.agentRef),
        principal,
        input: request.input,
        idempotencyKey: request.idempotencyKey,
        priority: request.priority,
        source: 'api',
        identity: null,
        traceId: request.trace.traceId,
        start: request.start,
      });
    },
    listRuns: async (caller, filter, page) => {
      const userId = actsForOthers(caller) ? (filter.userId ?? undefined) : caller.principal.userId;
      if (filter.userId !== null && filter.userId !== userId) return { items: [], nextCursor: null };
      const { tenantId } = caller.principal;
      const runs = await pageById<Run>(
        page,
        (run) => run.id,
        ({ before, limit }) => listRuns(pool, { tenantId, status: filter.status ?? undefined, agentId: filter.agentId ?? undefined, userId, source: filter.source ?? undefined, before, limit }),
      );
      const details = await Promise.all(runs.items.map((run) => getRun(pool, tenantId, run.id)));
      return { items: details.flatMap((detail) => (detail === null ? [] : [toDetail(detail)])), nextCursor: runs.nextCursor };
    },
    getRun: async (caller, runId) => toDetail(await ownRun(context, caller, runId)),
    listSteps: async (caller, runId) => {
      await ownRun(context, caller, runId);
      return readSteps(pool, caller.principal.tenantId, runId);
    },
    listEvents: async (caller, runId, range) => {
      await ownRun(context, caller, runId);
      const page = await readEvents(pool, { tenantId: caller.principal.tenantId, runId, ...range });
      return page?.events ?? [];
    },
    openEvents: async (caller, runId, afterSeq, signal) => {
      const { run } = await ownRun(context, caller, runId);
      if (ENDED.has(run.status) && run.lastSeq <= afterSeq) return null;
      return context.hub.open({ tenantId: caller.principal.tenantId, runId, afterSeq }, signal);
    },
    cancelRun: async (caller, runId, reason) => {
      const before = await ownRun(context, caller, runId);
      const { tenantId, userId } = caller.principal;
      await cancelRun({ tenantId, runId, by: userId, reason: reason === null ? null : context.policy.maskText(reason) }, context.deps);
      if (!context.node.interrupt(runId)) {
        context.post({ kind: 'cancel', runId });
        announceDue(context);
      }
      return { run: toDetail(await ownRun(context, caller, runId)), changed: before.run.status !== 'cancelled' };
    },
    retryRun: async (caller, runId, trace) => {
      const { run } = await ownRun(context, caller, runId);
      if (!ENDED.has(run.status)) throw new PlatformError('conflict', `The run is ${run.status}; only a run that has ended can be tried again.`, { details: { status: run.status } });
      const principal = await findUser(pool, run.tenantId, run.principal.userId);
      const input = typeof run.input === 'string' || isJsonObject(run.input) ? run.input : JSON.stringify(run.input);
      const created = await startRun(context, { agent: { id: run.agentId }, principal, input, idempotencyKey: null, priority: run.priority, source: `retry:${run.id}`, identity: null, traceId: trace.traceId });
      return created.run;
    },
    listLineage: async (caller, runId) => {
      const { lineage } = await ownRun(context, caller, runId);
      const ids = [...new Set(lineage.map(({ ref }) => ref.chunkId))].slice(0, 200);
      const chunks = await context.knowledge.getChunks(caller.principal.tenantId, caller.principal, ids);
      const content = new Map(chunks.map((chunk) => [chunk.chunkId, chunk.content]));
      return lineage.map(({ stepNo, ref }) => ({ ...ref, stepNo, content: content.get(ref.chunkId) ?? null }));
    },
    fireTrigger: async (caller, name, body, trace) => {
      const trigger = context.triggers.get(name);
      if (trigger === undefined) {
        throw new PlatformError('not_found', `There is no trigger "${name}". The triggers are: ${[...context.triggers.keys()].join(', ') || 'none'}.`);
      }
      const principal: Principal = await findUser(pool, caller.principal.tenantId, trigger.userId);
      const key = toDedupKey(trigger, body);
      const { run, replayed } = await startRun(context, {
        agent: { name: trigger.agent },
        principal,
        input: body,
        idempotencyKey: key,
        priority: trigger.priority,
        source: `trigger:${name}`,
        // Another delivery of the same event may differ in a counter or a time and is still the same event.
        identity: { trigger: name, key },
        traceId: trace.traceId,
      });
      return { run, deduplicated: replayed };
    },
  };
}

export function refuseReservedKey(key: string | null): void {
  const reserved = RESERVED_KEYS.find((prefix) => key?.startsWith(prefix) === true);
  if (reserved === undefined) return;
  throw new PlatformError('invalid_input', `Keys that begin with "${reserved}" belong to the platform's own runs. Choose another key.`, { details: { field: 'idempotency_key' } });
}

/** Accepts a run and gives it as it is stored. */
export async function startRun(context: PlatformContext, request: RunRequest): Promise<{ readonly run: Run; readonly replayed: boolean }> {
  const { runId, replayed } = await acceptRun(request, context.deps);
  if (!replayed) announceDue(context);
  const detail = await getRun(context.pool, request.principal.tenantId, runId);
  if (detail === null) throw new PlatformError('internal', 'An accepted run cannot be read.');
  return { run: detail.run, replayed };
}

/** Another's run is not found, so that ids cannot be probed. */
export async function ownRun(context: PlatformContext, caller: Caller, runId: string): Promise<StoredRunDetail> {
  const detail = await getRun(context.pool, caller.principal.tenantId, runId);
  if (detail === null && actsForOthers(caller)) await refuseArchived(context, caller, runId);
  if (detail === null || !(actsForOthers(caller) || detail.run.principal.userId === caller.principal.userId)) {
    throw new PlatformError('not_found', 'There is no such run.', { details: { run_id: runId } });
  }
  return detail;
}

/** To those who may see every run; to others one that is gone was never there. */
async function refuseArchived(context: PlatformContext, caller: Caller, runId: string): Promise<void> {
  const archiving = await findArchiving(context.pool, caller.principal.tenantId, runId);
  if (archiving === null) return;
  const at = archiving.at.toISOString();
  const where = archiving.outcome === 'archived' ? 'Its rows are in the files of openeaap archive' : 'Its rows were deleted and not kept';
  throw new PlatformError('gone', `This run was taken out of the database at ${at}. ${where}; its audit rows are still here: openeaap audit list --run ${runId}`, { details: { run_id: runId, archived_at: at } });
}

function toDetail(detail: StoredRunDetail): RunDetail {
  const seen = new Map<string, LineageRef>();
  for (const { ref } of detail.lineage) if (!seen.has(ref.chunkId)) seen.set(ref.chunkId, ref);
  return { run: detail.run, lineage: [...seen.values()], pendingApprovals: detail.pendingApprovals };
}

/** The UUID of a version, `name@version`, or a name: its current version. */
export function toAgentReference(text: string): AgentReference {
  if (isUuid(text)) return { id: text };
  const at = text.lastIndexOf('@');
  return at > 0 ? { name: text.slice(0, at), version: text.slice(at + 1) } : { name: text };
}
