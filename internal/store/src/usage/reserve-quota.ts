import type { QuotaReservation } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { REFUSED, run, sqlState, toJsonb, toStoreError } from '../database.ts';

/** Takes from every counter or from none, atomically over all nodes: what one statement grants is never more than the limit. */
const RESERVE_QUOTA: Statement = {
  name: 'reserve-quota',
  text: `
WITH want AS (
  SELECT * FROM jsonb_to_recordset($2::jsonb) AS x(counter text, amount bigint, "limit" bigint, expires_at timestamptz)
), taken AS (
  INSERT INTO quota_counters AS c (tenant_id, counter, used, expires_at)
  SELECT $1, counter, amount, expires_at FROM want WHERE amount <= "limit" ORDER BY counter
  ON CONFLICT (tenant_id, counter) DO UPDATE SET used = c.used + EXCLUDED.used
    WHERE c.used + EXCLUDED.used <= (SELECT w."limit" FROM want w WHERE w.counter = c.counter)
  RETURNING 1
)
SELECT CASE WHEN (SELECT count(*) FROM taken) < (SELECT count(*) FROM want) THEN openeaap_refuse() END`,
};

const READ_COUNTERS: Statement = {
  name: 'read-quota-counters',
  text: 'SELECT counter, used FROM quota_counters WHERE tenant_id = $1 AND counter = ANY($2)',
};

export type ReservationResult = { readonly kind: 'granted' } | { readonly kind: 'exceeded'; readonly quota: string; readonly used: number; readonly limit: number };

export async function reserveQuota(db: Queryable, tenantId: string, wanted: readonly QuotaReservation[]): Promise<ReservationResult> {
  const items = mergeByCounter(wanted).map((w) => ({ counter: w.counter, amount: w.amount, limit: w.limit, expires_at: w.expiresAt }));
  try {
    await run(db, RESERVE_QUOTA, [tenantId, toJsonb(items)]);
    return { kind: 'granted' };
  } catch (thrown) {
    const error = toStoreError(thrown);
    if (sqlState(error.cause) !== REFUSED) throw error;
  }
  const { rows } = await run<{ counter: string; used: string }>(db, READ_COUNTERS, [tenantId, wanted.map((w) => w.counter)]);
  const used = new Map(rows.map((row) => [row.counter, Number(row.used)]));
  const exceeded = wanted.find((w) => (used.get(w.counter) ?? 0) + w.amount > w.limit) ?? wanted[0];
  if (exceeded === undefined) return { kind: 'granted' };
  return { kind: 'exceeded', quota: exceeded.quota, used: used.get(exceeded.counter) ?? 0, limit: exceeded.limit };
}

/** Two quotas may share a counter: it is taken from once, and the tighter limit holds. */
function mergeByCounter(wanted: readonly QuotaReservation[]): readonly QuotaReservation[] {
  const byCounter = new Map<string, QuotaReservation>();
  for (const each of wanted) {
    const other = byCounter.get(each.counter);
    byCounter.set(each.counter, other === undefined ? each : { ...other, amount: Math.max(other.amount, each.amount), limit: Math.min(other.limit, each.limit) });
  }
  return [...byCounter.values()];
}
