import { PlatformError } from '@openeaap/kernel';
import type { CounterState, LimitWindow } from '../accounting/limit-window.ts';
import { bucketAt, bucketEndMs, countedAt, EMPTY_COUNTER, MINUTE_MS, rollTo } from '../accounting/limit-window.ts';
import type { SharedCounters, TakeItem, TakeResult } from '../accounting/shared-counters.ts';

/** Subjects are keys, users, tenants and backends of this installation: there are never so many. */
export const MEMORY_COUNTERS_MAX = 100_000;

/** The contract in memory, for tests that need no server: a node always has a database. `now`: milliseconds since the epoch. */
export function createMemoryCounters({ now, max = MEMORY_COUNTERS_MAX }: { readonly now: () => number; readonly max?: number }): SharedCounters {
  const counters = new Map<string, { readonly window: LimitWindow; state: CounterState }>();

  const stateOf = (name: string, window: LimitWindow, nowMs: number): CounterState => rollTo(counters.get(name)?.state ?? EMPTY_COUNTER, bucketAt(window, nowMs));

  const forgetOver = (nowMs: number): void => {
    for (const [name, { window, state }] of counters) {
      const countsUntilMs = bucketEndMs(window, state.bucket) + (window === 'minute' ? MINUTE_MS : 0);
      if (countsUntilMs <= nowMs) counters.delete(name);
    }
  };

  const take = (tenantId: string, items: readonly TakeItem[]): TakeResult => {
    const nowMs = now();
    const states = items.map(({ counter, window }) => stateOf(nameOf(tenantId, counter), window, nowMs));
    const fits = items.every(({ window, amount, limit }, index) => countedAt(window, states[index] ?? EMPTY_COUNTER, nowMs) + amount <= limit);
    if (!fits) return { kind: 'exceeded', nowMs, states };
    if (counters.size + items.length > max) forgetOver(nowMs);
    if (counters.size + items.length > max) throw new PlatformError('unavailable', `More than ${max} limits are being counted; this one cannot be checked.`);
    const taken = items.map((item, index): CounterState => {
      const state = states[index] ?? EMPTY_COUNTER;
      return { ...state, used: state.used + item.amount };
    });
    for (const [index, { counter, window }] of items.entries()) counters.set(nameOf(tenantId, counter), { window, state: taken[index] ?? EMPTY_COUNTER });
    return { kind: 'granted', nowMs, states: taken };
  };

  return {
    take: async (tenantId, items) => take(tenantId, items),
    give: async (tenantId, items) => {
      const nowMs = now();
      for (const { counter, window, bucket, amount } of items) {
        const name = nameOf(tenantId, counter);
        const state = amount > 0 ? (counters.get(name)?.state ?? EMPTY_COUNTER) : stateOf(name, window, nowMs);
        if (amount <= 0) counters.set(name, { window, state: { ...state, used: state.used - amount } });
        else if (state.bucket === bucket) counters.set(name, { window, state: { ...state, used: Math.max(0, state.used - amount) } });
        else if (state.bucket === bucket + 1) counters.set(name, { window, state: { ...state, before: Math.max(0, state.before - amount) } });
      }
    },
  };
}

const nameOf = (tenantId: string, counter: string): string => `${encodeURIComponent(tenantId)}/${counter}`;
