import type { LimitUnit, PlannedTake } from './limit-plan.ts';
import type { CounterState } from './limit-window.ts';
import { countedAt, resetMs } from './limit-window.ts';

/**
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI's clients know them, of the
 * limit with the least share left. The reset is when all of it is free again. Money is nobody's
 * business but the owner's.
 */
export function toLimitHeaders(takes: readonly PlannedTake[], states: readonly CounterState[], nowMs: number): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const unit of ['requests', 'tokens'] satisfies LimitUnit[]) {
    const tightest = takes.flatMap((take, index) => (take.unit === unit ? [toRoom(take, states[index], nowMs)] : [])).reduce<Room | null>((least, room) => (least === null || room.share < least.share ? room : least), null);
    if (tightest === null) continue;
    headers[`x-ratelimit-limit-${unit}`] = String(tightest.limit);
    headers[`x-ratelimit-remaining-${unit}`] = String(tightest.left);
    headers[`x-ratelimit-reset-${unit}`] = toDuration(tightest.resetMs);
  }
  return headers;
}

interface Room {
  readonly limit: number;
  readonly left: number;
  readonly share: number;
  readonly resetMs: number;
}

function toRoom({ window, limit }: PlannedTake, state: CounterState | undefined, nowMs: number): Room {
  const used = state === undefined ? 0 : countedAt(window, state, nowMs);
  const left = Math.max(0, Math.floor(limit - used));
  return { limit, left, share: left / limit, resetMs: state === undefined ? 0 : resetMs(window, state, nowMs) };
}

/** `6m0s`, `1.5s`, `20ms`: durations as Go writes them, which the API has. */
export function toDuration(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = `${Math.round(ms % 60_000) / 1_000}s`;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}`;
}
