import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { LimitReturn } from './limit-counter.ts';
import { AT } from './limit-counter.ts';

/** Into the bucket that it was taken from; what counts no more is not given back. Rows are locked in the order of their names, as a take does. */
const RETURN_LIMITS: Statement = {
  name: 'return-limits',
  text: `
WITH back AS (
  SELECT counter, bucket, sum(amount)::bigint AS amount FROM jsonb_to_recordset($2::jsonb) AS x(counter text, bucket bigint, amount bigint) GROUP BY counter, bucket
), locked AS (
  SELECT c.counter FROM limit_counters c
  WHERE c.tenant_id = $1 AND c.counter IN (SELECT counter FROM back) ORDER BY c.counter FOR UPDATE
)
UPDATE limit_counters c SET
  used = greatest(0, c.used - COALESCE((SELECT b.amount FROM back b WHERE b.counter = c.counter AND b.bucket = c.bucket), 0)),
  before = greatest(0, c.before - COALESCE((SELECT b.amount FROM back b WHERE b.counter = c.counter AND b.bucket = c.bucket - 1), 0))
WHERE c.tenant_id = $1 AND c.counter IN (SELECT counter FROM locked)`,
};

/** More was used than was reserved: it counts now, whatever the limit is. */
const CHARGE_LIMITS: Statement = {
  name: 'charge-limits',
  text: `
WITH at AS (${AT}), want AS (
  SELECT x.counter, sum(x.amount)::bigint AS amount,
    CASE min(x."window") WHEN 'minute' THEN min(at.minute) WHEN 'day' THEN min(at.day) WHEN 'month' THEN min(at.month) ELSE 0 END AS bucket,
    min(at.now) + CASE min(x."window") WHEN 'minute' THEN interval '3 minutes' WHEN 'day' THEN interval '2 days' WHEN 'month' THEN interval '62 days' ELSE interval '100 years' END AS expires_at
  FROM jsonb_to_recordset($2::jsonb) AS x(counter text, "window" text, amount bigint), at GROUP BY x.counter
)
INSERT INTO limit_counters AS c (tenant_id, counter, bucket, used, before, expires_at)
SELECT $1, counter, bucket, amount, 0, expires_at FROM want ORDER BY counter
ON CONFLICT (tenant_id, counter) DO UPDATE SET
  bucket = greatest(c.bucket, EXCLUDED.bucket),
  used = CASE WHEN EXCLUDED.bucket <= c.bucket THEN c.used ELSE 0 END + EXCLUDED.used,
  before = CASE WHEN EXCLUDED.bucket <= c.bucket THEN c.before WHEN EXCLUDED.bucket = c.bucket + 1 THEN c.used ELSE 0 END,
  expires_at = greatest(c.expires_at, EXCLUDED.expires_at)`,
};

/** `nowMs` is for tests, as in `takeLimits`. Errors: `unavailable`: it may have been done, so it is not to be repeated. */
export async function giveLimits(db: Queryable, tenantId: string, returns: readonly LimitReturn[], nowMs: number | null = null): Promise<void> {
  const back = returns.filter(({ amount }) => amount > 0);
  const more = returns.filter(({ amount }) => amount < 0).map((item) => ({ ...item, amount: -item.amount }));
  if (more.length > 0) await run(db, CHARGE_LIMITS, [tenantId, toJsonb(more), nowMs]);
  if (back.length > 0) await run(db, RETURN_LIMITS, [tenantId, toJsonb(back)]);
}
