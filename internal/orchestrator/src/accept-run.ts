import type { Agent, JsonObject, JsonValue, Principal, Priority } from '@openeaap/kernel';
import { LIMITS, PlatformError, hashJson } from '@openeaap/kernel';
import type { DriveDeps } from './deps.ts';
import type { AgentReference } from './port.ts';
import { toStorable } from './to-storable.ts';

export interface RunRequest {
  readonly agent: AgentReference;
  readonly principal: Principal;
  readonly input: string | JsonObject;
  readonly idempotencyKey: string | null;
  readonly priority: Priority;
  readonly source: string;
  /** What two requests with the same key must have in common to be one; null: everything that was sent. */
  readonly identity: JsonValue;
  /** Continues the caller's trace; null: a new one. */
  readonly traceId: string | null;
  /** Left out: at once. */
  readonly start?: RunStart | null;
}

/** When a run begins: at a time, or so long after it was accepted. */
export type RunStart = { readonly kind: 'at'; readonly at: Date } | { readonly kind: 'after'; readonly delayMs: number };

export interface AcceptedRun {
  readonly runId: string;
  /** The key had been seen with the same request: this is the run of then. */
  readonly replayed: boolean;
}

/**
 * Accepts a run. It is accepted when it is stored, and only then does this return (R1). The input
 * is masked before it is stored; the hash that the idempotency key is compared by is of what came in.
 *
 * Errors: not_found (agent), conflict (agent not published), payload_too_large, idempotency_mismatch,
 * invalid_input (a start that is over or too far ahead).
 */
export async function acceptRun(given: RunRequest, deps: Pick<DriveDeps, 'store' | 'policy' | 'text' | 'ids' | 'watch' | 'clock'>): Promise<AcceptedRun> {
  const request: RunRequest = { ...given, input: toStorable(given.input) };
  const { principal } = request;
  const checked = await checkRequest(request, deps).catch((thrown: unknown) => ({ refusal: thrown }));
  if ('refusal' in checked) return replayOrThrow(request, checked.refusal, deps);
  const { agent, startAt } = checked;
  const bytes = Buffer.byteLength(JSON.stringify(request.input));
  if (bytes > LIMITS.runInputBytes) {
    throw new PlatformError('payload_too_large', `The input has ${bytes} bytes; at most ${LIMITS.runInputBytes} are taken.`, { details: { field: 'input' } });
  }
  const id = deps.ids.newId();
  const traceId = request.traceId ?? deps.ids.newTraceId();
  const result = await deps.store.acceptRun({
    tenantId: principal.tenantId,
    id,
    agentId: agent.id,
    agentName: agent.name,
    agentVersion: agent.version,
    policyVersion: deps.policy.currentVersion(),
    principal,
    traceId,
    rootSpanId: deps.ids.newTraceId().slice(0, 16),
    idempotencyKey: request.idempotencyKey,
    requestHash: hashRequest(request),
    priority: request.priority,
    input: deps.text.mask(request.input),
    source: request.source,
    startAt,
    events: [{ type: 'run_created', data: { run_id: id, status: 'pending', agent: agent.name, agent_version: agent.version, user_id: principal.userId, source: request.source, trace_id: traceId, ...(startAt === null ? {} : { start_at: startAt.toISOString() }) } }],
  });
  switch (result.kind) {
    case 'accepted':
      return { runId: id, replayed: false };
    case 'replayed':
      return { runId: result.runId, replayed: true };
    case 'mismatch':
      throw mismatch(result.runId);
  }
}

/** The earlier run is named only to whom it belongs. */
const mismatch = (runId: string | null): PlatformError =>
  new PlatformError('idempotency_mismatch', 'This idempotency key was used before with another request. Send a new key for a new request.', {
    details: { field: 'idempotency_key', ...(runId === null ? {} : { run_id: runId }) },
  });

/** R1: a key that was accepted keeps its answer, also when the run could not be started any more. */
async function replayOrThrow(request: RunRequest, refusal: unknown, deps: Pick<DriveDeps, 'store'>): Promise<AcceptedRun> {
  const earlier = request.idempotencyKey === null ? null : await deps.store.findRunByKey(request.principal.tenantId, request.idempotencyKey);
  if (earlier === null) throw refusal;
  if (earlier.requestHash !== hashRequest(request)) throw mismatch(earlier.userId === request.principal.userId ? earlier.runId : null);
  return { runId: earlier.runId, replayed: true };
}

async function checkRequest(request: RunRequest, deps: Pick<DriveDeps, 'store' | 'clock'>): Promise<{ readonly agent: Agent; readonly startAt: Date | null }> {
  const startAt = toStartAt(request.start ?? null, deps.clock.now());
  return { agent: await findRunnable(request, deps), startAt };
}

/** A time that is over is refused: it is a mistyped year more often than a wish to start now. */
function toStartAt(start: RunStart | null, now: Date): Date | null {
  if (start === null) return null;
  const at = start.kind === 'at' ? start.at : new Date(now.getTime() + start.delayMs);
  const aheadMs = at.getTime() - now.getTime();
  const details = { field: start.kind === 'at' ? 'start_at' : 'delay_s' };
  if (aheadMs > LIMITS.startDelayMs) {
    throw new PlatformError('invalid_input', `A run can be told to start at most ${LIMITS.startDelayMs / 86_400_000} days ahead. For later or repeated runs make a schedule.`, { details });
  }
  if (!(aheadMs >= -LIMITS.startAtGraceMs)) {
    throw new PlatformError('invalid_input', `\`start_at\` ${Number.isNaN(aheadMs) ? 'is no time' : `(${at.toISOString()}) is over`}. Name a time in the future, or leave it out to start at once.`, { details });
  }
  return at;
}

async function findRunnable(request: RunRequest, deps: Pick<DriveDeps, 'store'>): Promise<Agent> {
  const { agent: reference, principal } = request;
  const agent = await deps.store.findAgent(principal.tenantId, reference);
  const name = reference.id ?? (reference.version === undefined ? reference.name : `${reference.name}@${reference.version}`) ?? '';
  if (agent === null) {
    throw new PlatformError('not_found', `There is no agent "${name}", or no version of it is published.`, { details: { field: 'agent_id' } });
  }
  if (agent.status === 'deprecated') {
    throw new PlatformError('conflict', `Agent ${agent.name}@${agent.version} is deprecated and starts no new runs. Publish it again or use another version.`);
  }
  if (agent.status === 'draft') throw new PlatformError('conflict', `Agent ${agent.name}@${agent.version} is a draft. Publish it first.`);
  return agent;
}

function hashRequest(request: RunRequest): string {
  const { agent, principal, input, identity, priority, start = null } = request;
  if (identity !== null) return hashJson(identity);
  const body: JsonValue = { agent: { id: agent.id ?? null, name: agent.name ?? null, version: agent.version ?? null }, user_id: principal.userId, input, ...(priority === 'normal' ? {} : { priority }), ...(start === null ? {} : { start: hashStart(start) }) };
  return hashJson(body);
}

/** A delay is hashed as it was asked for: the same request sent again is the same, whatever the time is. */
const hashStart = (start: RunStart): JsonValue => (start.kind === 'at' ? { at: start.at.toISOString() } : { delay_ms: start.delayMs });
