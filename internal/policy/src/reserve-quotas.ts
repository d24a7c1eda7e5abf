import type { DecisionRequest, QuotaReservation } from '@openeaap/kernel';
import type { Quota } from './rules.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * Tokens of the day for a think. `tokens` is what the think may complete; the store settles the counter
 * with what it really used. Windows are those of the UTC clock.
 */
export function reserveTokens(quotas: readonly Quota[], request: DecisionRequest, tokens: number): QuotaReservation[] {
  const reservations = quotas.flatMap((quota) =>
    quota.tokensPerDay === null ? [] : [toReservation(request, quota, { unit: 'tokens', counts: 'tokens', amount: Math.max(1, tokens), limit: quota.tokensPerDay, windowMs: DAY_MS })],
  );
  return mergeCounters(reservations);
}

/** One call of a tool, out of each quota that covers the tool. */
export function reserveCalls(quotas: readonly Quota[], request: DecisionRequest): QuotaReservation[] {
  const reservations = quotas.flatMap((quota) => {
    const counts = quota.pattern === null ? 'calls' : `calls:${quota.pattern.source}`;
    return [
      ...(quota.callsPerMinute === null ? [] : [toReservation(request, quota, { unit: 'calls', counts, amount: 1, limit: quota.callsPerMinute, windowMs: MINUTE_MS })]),
      ...(quota.callsPerDay === null ? [] : [toReservation(request, quota, { unit: 'calls', counts, amount: 1, limit: quota.callsPerDay, windowMs: DAY_MS })]),
    ];
  });
  return mergeCounters(reservations);
}

interface Draw {
  readonly unit: QuotaReservation['unit'];
  readonly counts: string;
  readonly amount: number;
  readonly limit: number;
  readonly windowMs: number;
}

/**
 * The counter names who, what and when, not the quota: renaming a rule does not start a new day.
 * It is unique within a tenant.
 */
function toReservation(request: DecisionRequest, quota: Quota, draw: Draw): QuotaReservation {
  const start = Math.floor(request.now.getTime() / draw.windowMs) * draw.windowMs;
  const window = new Date(start).toISOString().slice(0, draw.windowMs === DAY_MS ? 10 : 16);
  return {
    quota: quota.name,
    counter: `${quota.per}:${encodeURIComponent(subjectOf(request, quota))}/${draw.counts}/${window}`,
    unit: draw.unit,
    amount: draw.amount,
    limit: draw.limit,
    expiresAt: new Date(start + draw.windowMs),
  };
}

function subjectOf(request: DecisionRequest, quota: Quota): string {
  switch (quota.per) {
    case 'tenant':
      return request.principal.tenantId;
    case 'user':
      return request.principal.userId;
    case 'agent':
      return request.agent.id;
    case 'run':
      return request.run.id;
    case 'tool':
      return request.kind === 'act' ? request.tool.name : '';
    default:
      return quota.per satisfies never;
  }
}

/** Two quotas on one counter take from it once; the smaller limit holds. */
function mergeCounters(reservations: readonly QuotaReservation[]): QuotaReservation[] {
  if (reservations.length < 2) return [...reservations];
  const strictest = new Map<string, QuotaReservation>();
  for (const reservation of reservations) {
    const other = strictest.get(reservation.counter);
    if (other === undefined || reservation.limit < other.limit) strictest.set(reservation.counter, reservation);
  }
  return [...strictest.values()];
}
