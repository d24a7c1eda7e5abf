/** A counter of a limit, and what is drawn from it. The meaning of the windows is the gateway's (internal/msig, limit-window.ts). */
export interface LimitCounter {
  readonly bucket: number;
  readonly used: number;
  readonly before: number;
}

export interface LimitDraw {
  readonly counter: string;
  readonly window: 'minute' | 'day' | 'month' | 'total';
  readonly amount: number;
  readonly limit: number;
}

export interface LimitReturn {
  readonly counter: string;
  readonly window: LimitDraw['window'];
  readonly bucket: number;
  /** Above 0: given back to its bucket. Below 0: taken, whatever the limit is. */
  readonly amount: number;
}

export type LimitTake =
  | { readonly kind: 'granted'; readonly nowMs: number; readonly states: readonly LimitCounter[] }
  | { readonly kind: 'exceeded'; readonly nowMs: number; /** As they are stored, which may be in an older bucket. */ readonly states: readonly LimitCounter[] };

/** The time and its buckets, once for a statement. $3: milliseconds that a test sets; null: the server's clock. */
export const AT = `
  SELECT now, now_ms, floor(now_ms / 60000.0)::bigint AS minute, floor(now_ms / 86400000.0)::bigint AS day,
    (extract(year FROM now AT TIME ZONE 'UTC') * 12 + extract(month FROM now AT TIME ZONE 'UTC') - 1)::bigint AS month,
    1 - (now_ms % 60000) / 60000.0 AS rest_of_minute
  FROM (SELECT to_timestamp(ms / 1000.0) AS now, ms AS now_ms
    FROM (SELECT COALESCE($3::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS ms) AS clock) AS moment`;

/** BIGINT comes as text; amounts stay below 2^53. */
export function toCounter(row: { readonly bucket: string; readonly used: string; readonly before: string }): LimitCounter {
  return { bucket: Number(row.bucket), used: Number(row.used), before: Number(row.before) };
}
