import { PlatformError } from '@openeaap/kernel';
import type { PlannedTake } from './limit-plan.ts';
import type { CounterState } from './limit-window.ts';
import { bucketAt, countedAt, EMPTY_COUNTER, retryAfterMs, rollTo } from './limit-window.ts';
import { NANOS_PER_USD } from './price-of.ts';

const WHO = { key: 'this key', user: 'this user', tenant: 'this tenant', model: 'this model' } as const;
const WINDOW = { minute: 'a minute', day: 'a day (UTC)', month: 'a month (UTC)', total: 'in all' } as const;

/**
 * Names the limit that holds up longest: after its wait the others let pass too. `budget_exhausted`
 * where it is about money, `rate_limited` else. Without `retry_after_ms` waiting does not help.
 */
export function refuseTake(takes: readonly PlannedTake[], states: readonly CounterState[], nowMs: number): PlatformError {
  const [first, ...others] = takes.map((take, index) => toObstacle(take, states[index] ?? EMPTY_COUNTER, nowMs));
  if (first === undefined) return new PlatformError('internal', 'The counters refused something that was not asked for.');
  const { take, used, waitMs } = others.reduce((worst, each) => (each.waitMs > worst.waitMs ? each : worst), first);
  const text = (amount: number): string => toText(take, amount);
  const most = `The limit of ${WHO[take.per]} is ${text(take.limit)} ${WINDOW[take.window]}; ${text(Math.min(used, take.limit))} ${take.unit === 'usd' ? 'is' : 'are'} used or reserved, and this request may need ${text(take.amount)}.`;
  return new PlatformError('quota_exceeded', `${most} ${cureOf(take, waitMs)}`, {
    details: { reason: take.unit === 'usd' ? 'budget_exhausted' : 'rate_limited', limit: `${take.per}.${take.field}`, ...(waitMs === Infinity ? {} : { retry_after_ms: waitMs }) },
  });
}

interface Obstacle {
  readonly take: PlannedTake;
  /** What counts now. */
  readonly used: number;
  /** Infinity: for ever. */
  readonly waitMs: number;
}

/** What fits when it is looked at again is not waited for: somebody has given back. */
function toObstacle(take: PlannedTake, stored: CounterState, nowMs: number): Obstacle {
  const state = rollTo(stored, bucketAt(take.window, nowMs));
  const used = countedAt(take.window, state, nowMs);
  return { take, used, waitMs: used + take.amount <= take.limit ? 0 : (retryAfterMs(take, state, nowMs) ?? Infinity) };
}

function toText({ unit }: PlannedTake, amount: number): string {
  if (unit !== 'usd') return `${Math.ceil(amount)} ${unit}`;
  const usd = amount / NANOS_PER_USD;
  return `USD ${usd >= 0.01 ? usd.toFixed(2) : usd.toPrecision(2)}`;
}

function cureOf({ unit, amount, limit }: PlannedTake, waitMs: number): string {
  const less = unit === 'requests' ? '' : ' or ask for fewer max_tokens';
  if (waitMs < Infinity) return `Try again in ${Math.ceil(waitMs / 1_000)} s${less}.`;
  return amount > limit && unit !== 'requests' ? 'It can never pass: ask for fewer max_tokens, or shorten the prompt.' : 'An administrator can raise it.';
}
