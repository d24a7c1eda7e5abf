import { describe, expect, it } from 'vitest';
import { createRetryBudget } from './retry-budget.ts';

describe('a retry budget', () => {
  it('has a burst for a node without traffic, and then so many a second', () => {
    let nowMs = 0;
    const budget = createRetryBudget({ percent: 0, minPerSecond: 1 }, () => nowMs);
    const take = (): number => Array.from({ length: 100 }, budget.take).filter(Boolean).length;
    expect([take(), take()]).toEqual([10, 0]);
    let granted = 0;
    for (let second = 0; second < 100; second += 1) {
      nowMs += 1_000;
      granted += take();
    }
    expect(granted).toBeGreaterThanOrEqual(90);
    expect(granted).toBeLessThanOrEqual(105);
  });

  it('bounds what an outage adds to the traffic', () => {
    let nowMs = 0;
    const budget = createRetryBudget({ percent: 20, minPerSecond: 0 }, () => nowMs);
    let granted = 0;
    // 100 requests a second, each of which would be tried twice more.
    for (let request = 0; request < 10_000; request += 1) {
      nowMs += 10;
      budget.count();
      if (budget.take()) granted += 1;
      if (budget.take()) granted += 1;
    }
    expect(granted).toBeGreaterThan(1_900);
    expect(granted).toBeLessThan(2_050);
  });

  it('of nothing grants nothing', () => {
    const budget = createRetryBudget({ percent: 0, minPerSecond: 0 }, () => 0);
    budget.count();
    expect(budget.take()).toBe(false);
  });
});
