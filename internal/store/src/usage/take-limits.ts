import type { Queryable, Statement } from '../database.ts';
import { REFUSED, run, sqlState, toJsonb, toStoreError } from '../database.ts';
import type { LimitDraw, LimitTake } from './limit-counter.ts';
import { AT, toCounter } from './limit-counter.ts';

/**
 * Takes from every counter or from none, atomically over all nodes and by the server's clock. A
 * counter is one row, so what is decided under its lock holds: a statement that waited while
 * somebody else began the next bucket counts into that one. `share`: how much of the bucket before
 * still counts. Always in the order of the names, so that no two wait for each other.
 */
const TAKE_LIMITS: Statement = {
  name: 'take-limits',
  text: `
WITH at AS (${AT}), want AS (
  SELECT x.i, x.counter, x.amount, x."limit",
    CASE x."window" WHEN 'minute' THEN at.minute WHEN 'day' THEN at.day WHEN 'month' THEN at.month ELSE 0 END AS bucket,
    CASE x."window" WHEN 'minute' THEN at.rest_of_minute ELSE 0 END AS share,
    CASE x."window" WHEN 'minute' THEN 1 ELSE 0 END AS share_if_late,
    at.now + CASE x."window" WHEN 'minute' THEN interval '3 minutes' WHEN 'day' THEN interval '2 days' WHEN 'month' THEN interval '62 days' ELSE interval '100 years' END AS expires_at
  FROM jsonb_to_recordset($2::jsonb) AS x(i int, counter text, "window" text, amount bigint, "limit" bigint), at
), taken AS (
  INSERT INTO limit_counters AS c (tenant_id, counter, bucket, used, before, expires_at)
  SELECT $1, counter, bucket, amount, 0, expires_at FROM want WHERE amount <= "limit" ORDER BY counter
  ON CONFLICT (tenant_id, counter) DO UPDATE SET
    bucket = greatest(c.bucket, EXCLUDED.bucket),
    used = CASE WHEN EXCLUDED.bucket <= c.bucket THEN c.used ELSE 0 END + EXCLUDED.used,
    before = CASE WHEN EXCLUDED.bucket <= c.bucket THEN c.before WHEN EXCLUDED.bucket = c.bucket + 1 THEN c.used ELSE 0 END,
    expires_at = greatest(c.expires_at, EXCLUDED.expires_at)
  WHERE EXCLUDED.used + CASE
      WHEN EXCLUDED.bucket < c.bucket THEN c.used + c.before * (SELECT w.share_if_late FROM want w WHERE w.counter = c.counter)
      WHEN EXCLUDED.bucket = c.bucket THEN c.used + c.before * (SELECT w.share FROM want w WHERE w.counter = c.counter)
      WHEN EXCLUDED.bucket = c.bucket + 1 THEN c.used * (SELECT w.share FROM want w WHERE w.counter = c.counter)
      ELSE 0 END <= (SELECT w."limit" FROM want w WHERE w.counter = c.counter)
  RETURNING counter, bucket, used, before
)
SELECT w.i, t.bucket, t.used, t.before, (SELECT now_ms FROM at) AS now_ms,
  CASE WHEN t.counter IS NULL THEN openeaap_refuse() END AS refused
FROM want w LEFT JOIN taken t ON t.counter = w.counter ORDER BY w.i`,
};

/** What somebody gave back in the moment since is in it. */
const READ_LIMITS: Statement = {
  name: 'read-limits',
  text: `
WITH at AS (${AT}), want AS (SELECT * FROM jsonb_to_recordset($2::jsonb) AS x(i int, counter text))
SELECT (SELECT now_ms FROM at) AS now_ms, COALESCE(c.bucket, 0) AS bucket, COALESCE(c.used, 0) AS used, COALESCE(c.before, 0) AS before
FROM want w LEFT JOIN limit_counters c ON c.tenant_id = $1 AND c.counter = w.counter ORDER BY w.i`,
};

/**
 * Amounts are whole; one counter is named once. `nowMs` is for tests: not set, the server's clock
 * counts. Errors: `unavailable`: it may have been taken.
 */
export async function takeLimits(db: Queryable, tenantId: string, draws: readonly LimitDraw[], nowMs: number | null = null): Promise<LimitTake> {
  const values = [tenantId, toJsonb(draws.map((draw, i) => ({ i, ...draw }))), nowMs];
  try {
    return { kind: 'granted', ...toStates(await run<CounterRow>(db, TAKE_LIMITS, values)) };
  } catch (thrown) {
    const error = toStoreError(thrown);
    if (sqlState(error.cause) !== REFUSED) throw error;
  }
  return { kind: 'exceeded', ...toStates(await run<CounterRow>(db, READ_LIMITS, values)) };
}

interface CounterRow {
  readonly now_ms: string;
  readonly bucket: string;
  readonly used: string;
  readonly before: string;
}

const toStates = ({ rows }: { readonly rows: readonly CounterRow[] }): Pick<LimitTake, 'nowMs' | 'states'> => ({ nowMs: Number(rows[0]?.now_ms ?? 0), states: rows.map(toCounter) });
