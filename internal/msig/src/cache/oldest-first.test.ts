import { describe, expect, it } from 'vitest';
import { createOldestFirst } from './oldest-first.ts';

describe('entries of which the oldest go first', () => {
  it('are as a plain list of them would be, whatever is done', () => {
    const random = seeded(11);
    const removed: number[] = [];
    const taken: (readonly [boolean, boolean])[] = [];
    const kept = createOldestFirst<number>({ maxEntries: 8, maxBytes: 100, bytesOf: (size) => size, onRemoved: (size) => void removed.push(size) });
    let list: (readonly [string, number])[] = [];
    const bytes = (): number => list.reduce((sum, [, size]) => sum + size, 0);
    for (let step = 0; step < 5_000; step += 1) {
      const key = `k${Math.floor(random() * 20)}`;
      const size = 1 + Math.floor(random() * 110);
      const mine = list.find(([other]) => other === key);
      const others = list.filter((each) => each !== mine);
      const what = random();
      if (what < 0.2) {
        kept.use(key);
        list = mine === undefined ? list : [...others, mine];
      } else if (what < 0.3) {
        kept.remove(key);
        list = others;
      } else {
        const isTaken = kept.set(key, size);
        taken.push([isTaken, size <= 100]);
        list = isTaken ? [...others, [key, size]] : others;
        while (list.length > 8 || bytes() > 100) list = list.slice(1);
      }
      expect([kept.size(), kept.bytes()]).toEqual([list.length, bytes()]);
      for (const [each, value] of list) expect(kept.get(each)).toBe(value);
    }
    for (const [isTaken, fits] of taken) expect(isTaken).toBe(fits);
    expect(removed.length).toBeGreaterThan(1_000);
  });

  it('are taken out as quickly when many went before them', () => {
    const kept = createOldestFirst<number>({ maxEntries: 50_000, maxBytes: 1e9, bytesOf: () => 1 });
    for (let at = 0; at < 50_000; at += 1) kept.set(String(at), at);
    const startedMs = performance.now();
    for (let at = 50_000; at < 200_000; at += 1) kept.set(String(at), at);
    // A new iterator for each of them would look at up to 50,000 gaps: many seconds.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect([kept.get('149999'), kept.get('150000')]).toEqual([undefined, 150_000]);
  });

  it('are none where none may be', () => {
    const kept = createOldestFirst<number>({ maxEntries: 0, maxBytes: 100, bytesOf: () => 1 });
    expect(kept.set('a', 1)).toBe(false);
    expect(kept.size()).toBe(0);
  });
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
