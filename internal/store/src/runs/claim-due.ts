import type { Pool, PoolClient } from 'pg';
import type { ClaimedRun, ConcurrencyLimits } from '@openeaap/kernel';
import type { Statement } from '../database.ts';
import { isStalePlan, run, runPlanned, toJsonb, toStoreError } from '../database.ts';
import type { ClaimedRow } from './take-over.ts';
import { TAKE_OVER, toClaimedRun } from './take-over.ts';

/**
 * Every (tenant, agent) that has a run waiting, by hopping from one to the next in the index runs_due: the cost is that of
 * the agents, not of the runs that wait.
 */
const PAIRS = `
pair AS (
  (SELECT tenant_id, agent_id FROM runs WHERE status IN ('pending', 'paused') AND wake_at IS NOT NULL ORDER BY tenant_id, agent_id LIMIT 1)
  UNION ALL
  SELECT n.tenant_id, n.agent_id FROM pair p CROSS JOIN LATERAL (
    SELECT r.tenant_id, r.agent_id FROM runs r
    WHERE r.status IN ('pending', 'paused') AND r.wake_at IS NOT NULL AND (r.tenant_id, r.agent_id) > (p.tenant_id, p.agent_id)
    ORDER BY r.tenant_id, r.agent_id LIMIT 1) n
), level AS (
  SELECT p.priority, s.status FROM unnest(ARRAY[3, 2, 1, 0]::smallint[]) AS p(priority), unnest(ARRAY['paused', 'pending']) AS s(status)
)`;

const waiting = (alias: string): string =>
  `${alias}.status IN ('pending', 'paused') AND ${alias}.status = level.status AND ${alias}.tenant_id = pair.tenant_id AND ${alias}.agent_id = pair.agent_id AND ${alias}.priority = level.priority`;

/** Is anything due, and when will the next be? ms from now; null: nothing waits for a time. */
const READ_DUE: Statement = {
  name: 'read-due',
  text: `
WITH RECURSIVE ${PAIRS}
SELECT COALESCE(bool_or(n.wake_at <= now()), FALSE) AS due, ceil(extract(epoch FROM min(n.wake_at) - now()) * 1000)::float8 AS next_ms
FROM pair CROSS JOIN level CROSS JOIN LATERAL (
  SELECT r.wake_at FROM runs r WHERE ${waiting('r')} AND r.wake_at IS NOT NULL ORDER BY r.wake_at LIMIT 1) n`,
};

/**
 * Takes over runs that are due. Whose turn it is:
 *  - between tenants: who has the fewest running, so a crowd of one tenant never holds up another;
 *  - within a tenant: the higher priority; then what a person or a timer has woken before what is new; then
 *    the agent that has the fewest running; then who has waited longest;
 *  - never more of a tenant at once than its limit.
 * SKIP LOCKED: a run that somebody is writing to at this moment comes next time.
 *
 * $1 node id, $2 most runs to take, $3 the limits: {"default": n or null, "tenants": {"name": n}}.
 */
const CLAIM_DUE: Statement = {
  name: 'claim-due',
  text: `
WITH RECURSIVE ${PAIRS}, running AS (
  SELECT tenant_id, agent_id, count(*) AS n FROM runs WHERE status = 'running' GROUP BY tenant_id, agent_id
), busy AS (
  SELECT tenant_id, sum(n) AS n FROM running GROUP BY tenant_id
), candidate AS (
  SELECT pair.tenant_id, pair.agent_id, level.priority, level.status, c.id, c.wake_at
  FROM pair CROSS JOIN level CROSS JOIN LATERAL (
    SELECT r.id, r.wake_at FROM runs r WHERE ${waiting('r')} AND r.wake_at <= now() ORDER BY r.wake_at LIMIT $2) c
), in_agent AS (
  SELECT c.*, COALESCE(g.n, 0) + row_number() OVER (PARTITION BY c.tenant_id, c.agent_id ORDER BY c.priority DESC, c.status, c.wake_at, c.id) AS agent_turn
  FROM candidate c LEFT JOIN running g ON g.tenant_id = c.tenant_id AND g.agent_id = c.agent_id
), in_tenant AS (
  SELECT c.*, COALESCE(b.n, 0) + row_number() OVER (PARTITION BY c.tenant_id ORDER BY c.priority DESC, c.status, c.agent_turn, c.wake_at, c.id) AS tenant_turn
  FROM in_agent c LEFT JOIN busy b ON b.tenant_id = c.tenant_id
), chosen AS (
  SELECT tenant_id, id FROM in_tenant
  WHERE tenant_turn <= COALESCE(($3::jsonb -> 'tenants' ->> tenant_id)::int, ($3::jsonb ->> 'default')::int, 2147483647)
  ORDER BY tenant_turn, priority DESC, status, wake_at LIMIT $2
), taken AS (
  SELECT r.tenant_id, r.id, r.status, NULL::text AS lost_node FROM chosen c JOIN runs r ON r.tenant_id = c.tenant_id AND r.id = c.id
  WHERE r.status IN ('pending', 'paused') AND r.wake_at <= now() FOR UPDATE OF r SKIP LOCKED
), ${TAKE_OVER}`,
};

/**
 * Nodes take turns, so that a count of what is running stays true until the claim that uses it is written. The
 * time-outs keep a node that freezes in its turn from holding up the others: its session is ended and the turn with it.
 */
const TAKE_TURN = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '3s'; SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock(hashtextextended('openeaap_claim', 0))`;

const STALE_TRIES = 64;

export interface DueClaim {
  readonly runs: readonly ClaimedRun[];
  /** ms until the next run is due; 0: there may be more now; null: none waits for a time. */
  readonly nextDueMs: number | null;
}

export async function claimDue(pool: Pool, claim: { readonly nodeId: string; readonly limit: number; readonly limits: ConcurrencyLimits }): Promise<DueClaim> {
  const { rows } = await run<{ due: boolean; next_ms: number | null }>(pool, READ_DUE, []);
  const next = rows[0];
  if (next?.due !== true) return { runs: [], nextDueMs: next?.next_ms ?? null };
  const runs = await inTurn(pool, async (client) => (await runPlanned<ClaimedRow>(client, CLAIM_DUE, [claim.nodeId, claim.limit, toJsonb(claim.limits)])).rows);
  // Nothing, although something is due: its tenant is at its limit, or another node was first.
  return { runs: runs.map((row) => toClaimedRun(row, claim.nodeId)), nextDueMs: runs.length === 0 ? null : 0 };
}

/** Connections whose plan a migration has made stale are thrown away, each once; there are no more than the pool has. */
async function inTurn<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await takeTurn(pool, work);
    } catch (thrown) {
      const error = toStoreError(thrown);
      if (tries === STALE_TRIES || !isStalePlan(error.cause)) throw error;
    }
  }
}

/** A connection that broke is thrown away: the server undoes what was not committed. */
async function takeTurn<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((thrown: unknown) => {
    throw toStoreError(thrown);
  });
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let isWhole = false;
  try {
    await client.query(TAKE_TURN);
    const result = await work(client);
    await client.query('COMMIT');
    isWhole = true;
    return result;
  } finally {
    client.release(!isWhole);
    if (isWhole) client.off('error', ignore);
  }
}
