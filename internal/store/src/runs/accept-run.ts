import type { NewRun } from '@openeaap/kernel';
import { PRIORITIES, PlatformError } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/**
 * R1: the run and its first events, in one statement. The unique index on (tenant, key) lets one
 * of many equal requests win; the others insert nothing. A run that is told to start later is
 * pending and not due until then; a time in the past puts nobody before those that are due now.
 */
const ACCEPT_RUN: Statement = {
  name: 'accept-run',
  text: `
WITH accepted AS (
  INSERT INTO runs (tenant_id, id, agent_id, agent_name, agent_version, policy_version, user_id, groups, clearance, trace_id, root_span_id,
    idempotency_key, request_hash, status, input_payload, source, last_seq, priority, start_at, wake_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'pending', $14::jsonb, $15, jsonb_array_length($16::jsonb), $17, $18::timestamptz, GREATEST($18::timestamptz, now()))
  ON CONFLICT (tenant_id, idempotency_key) DO NOTHING
  RETURNING tenant_id, id, created_at
), event AS (
  INSERT INTO run_events (tenant_id, run_id, seq, type, data)
  SELECT a.tenant_id, a.id, e.seq, e.item ->> 'type', e.item -> 'data'
  FROM accepted a, jsonb_array_elements($16::jsonb) WITH ORDINALITY AS e(item, seq)
)
SELECT created_at FROM accepted`,
};

const FIND_BY_KEY: Statement = {
  name: 'find-run-by-key',
  text: 'SELECT id, request_hash, user_id FROM runs WHERE tenant_id = $1 AND idempotency_key = $2',
};

/** Of a mismatch the run is named only to whom it belongs. */
export type Acceptance = { readonly kind: 'accepted' } | { readonly kind: 'replayed'; readonly runId: string } | { readonly kind: 'mismatch'; readonly runId: string | null };

export async function acceptRun(db: Queryable, newRun: NewRun): Promise<Acceptance> {
  const { principal } = newRun;
  const { rowCount } = await run(db, ACCEPT_RUN, [
    newRun.tenantId,
    newRun.id,
    newRun.agentId,
    newRun.agentName,
    newRun.agentVersion,
    newRun.policyVersion,
    principal.userId,
    principal.groups,
    principal.clearance,
    newRun.traceId,
    newRun.rootSpanId,
    newRun.idempotencyKey,
    newRun.requestHash,
    toJsonb(newRun.input),
    newRun.source,
    toJsonb(newRun.events),
    PRIORITIES.indexOf(newRun.priority),
    newRun.startAt,
  ]);
  if (rowCount === 1) return { kind: 'accepted' };
  const earlier = newRun.idempotencyKey === null ? null : await findRunByKey(db, newRun.tenantId, newRun.idempotencyKey);
  if (earlier === null) throw new PlatformError('unavailable', 'The run with this idempotency key is being removed. Send the request again.');
  if (earlier.requestHash === newRun.requestHash) return { kind: 'replayed', runId: earlier.runId };
  return { kind: 'mismatch', runId: earlier.userId === principal.userId ? earlier.runId : null };
}

export async function findRunByKey(db: Queryable, tenantId: string, idempotencyKey: string): Promise<{ readonly runId: string; readonly requestHash: string; readonly userId: string } | null> {
  const { rows } = await run<{ id: string; request_hash: string; user_id: string }>(db, FIND_BY_KEY, [tenantId, idempotencyKey]);
  const row = rows[0];
  return row === undefined ? null : { runId: row.id, requestHash: row.request_hash, userId: row.user_id };
}
