import { describe, expect, it } from 'vitest';
import { seededRandom } from '../routing/testing/manual-time.ts';
import { createWaitQueue } from './wait-queue.ts';

describe('a wait queue', () => {
  it('has the most urgent first, and the earliest of those', () => {
    const queue = createWaitQueue<string>();
    const add = { late: 5, first: 0, urgent: -1, second: 0 };
    for (const [name, priority] of Object.entries(add)) queue.add(name, priority);
    expect([queue.size(), queue.lastAfter(5), queue.lastAfter(4)]).toEqual([4, undefined, 'late']);
    const order: string[] = [];
    for (let item = queue.first(); item !== undefined; item = queue.first()) {
      order.push(item);
      queue.remove(item);
    }
    expect(order).toEqual(['urgent', 'first', 'second', 'late']);
  });

  it('does what a sorted list does, whatever comes and goes', () => {
    const random = seededRandom(7);
    const queue = createWaitQueue<number>();
    let list: { readonly item: number; readonly priority: number }[] = [];
    for (let item = 0; item < 2_000; item += 1) {
      const priority = Math.floor(random() * 4);
      if (random() < 0.55) {
        queue.add(item, priority);
        list.push({ item, priority });
      } else {
        const gone = list[Math.floor(random() * list.length)]?.item ?? -1;
        queue.remove(gone);
        list = list.filter((each) => each.item !== gone);
      }
      const sorted = list.toSorted((a, b) => a.priority - b.priority || a.item - b.item);
      expect([queue.size(), queue.first(), queue.lastAfter(1)]).toEqual([list.length, sorted[0]?.item, sorted.at(-1)?.priority === undefined || (sorted.at(-1)?.priority ?? 0) <= 1 ? undefined : sorted.at(-1)?.item]);
    }
    expect(list.length).toBeGreaterThan(50);
  });
});
