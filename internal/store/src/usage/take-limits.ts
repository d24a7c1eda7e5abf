import type { Queryable, Statement } from '../database.ts';
import { REFUSED, run, sqlState, toJsonb, toStoreError } from '../database.ts';
import type { LimitCounter, LimitDraw, LimitTake } from './limit-counter.ts';
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

const READ_LIMITS: Statement = {
  name: 'read-limits',
  text: `
WITH at AS (${AT})
SELECT at.now_ms, at.minute, at.day, at.month, c.counter, c.bucket, c.used, c.before
FROM at LEFT JOIN limit_counters c ON c.tenant_id = $1 AND c.counter = ANY($2)`,
};

/**
 * Amounts are whole; one counter is named once. `nowMs` is for tests: not set, the server's clock
 * counts. Errors: `unavailable`: it may have been taken.
 */
export async function takeLimits(db: Queryable, tenantId: string, draws: readonly LimitDraw[], nowMs: number | null = null): Promise<LimitTake> {
  const items = draws.map((draw, i) => ({ i, ...draw }));
  try {
    const { rows } = await run<CounterRow>(db, TAKE_LIMITS, [tenantId, toJsonb(items), nowMs]);
    return { kind: 'granted', nowMs: Number(rows[0]?.now_ms ?? 0), states: rows.map(toCounter) };
  } catch (thrown) {
    const error = toStoreError(thrown);
    if (sqlState(error.cause) !== REFUSED) throw error;
  }
  return explain(db, tenantId, draws, nowMs);
}

interface CounterRow {
  readonly now_ms: string;
  readonly bucket: string;
  readonly used: string;
  readonly before: string;
}

interface ReadRow extends CounterRow {
  readonly counter: string | null;
  readonly minute: string;
  readonly day: string;
  readonly month: string;
}

/** Which one did not fit, as far as it can be told a moment later: somebody may have given back meanwhile. */
async function explain(db: Queryable, tenantId: string, draws: readonly LimitDraw[], at: number | null): Promise<LimitTake> {
  const { rows } = await run<ReadRow>(db, READ_LIMITS, [tenantId, draws.map(({ counter }) => counter), at]);
  const [time] = rows;
  const nowMs = Number(time?.now_ms ?? 0);
  const counters = new Map(rows.flatMap((row) => (row.counter === null ? [] : [[row.counter, toCounter(row)] as const])));
  const stateOf = ({ counter, window }: LimitDraw): LimitCounter => {
    const bucket = window === 'total' ? 0 : Number(time?.[window] ?? 0);
    const state = counters.get(counter) ?? { bucket, used: 0, before: 0 };
    if (bucket <= state.bucket) return state;
    return { bucket, used: 0, before: bucket === state.bucket + 1 ? state.used : 0 };
  };
  const free = draws.map((draw) => {
    const { used, before, bucket } = stateOf(draw);
    const share = draw.window === 'minute' ? Math.min(1, Math.max(0, bucket + 1 - nowMs / MINUTE_MS)) : 0;
    return draw.limit - draw.amount - used - before * share;
  });
  const first = free.findIndex((left) => left < 0);
  const index = first === -1 ? free.indexOf(Math.min(...free)) : first;
  const draw = draws[index];
  return { kind: 'exceeded', nowMs, index, state: draw === undefined ? { bucket: 0, used: 0, before: 0 } : stateOf(draw) };
}

const MINUTE_MS = 60_000;
