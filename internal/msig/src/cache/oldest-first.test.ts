import { describe, expect, it } from 'vitest';
import { createOldestFirst } from './oldest-first.ts';

describe('entries of which the oldest go first', () => {
  it('are as a plain list of them would be, whatever is done', () => {
    const random = seeded(11);
    const removed: number[] = [];
    const bounds = { maxEntries: 8, maxBytes: 100 };
    const kept = createOldestFirst<number>({ ...bounds, bytesOf: (size) => size, onRemoved: (size) => void removed.push(size) });
    let list: (readonly [string, number])[] = [];
    const bytes = (): number => list.reduce((sum, [, size]) => sum + size, 0);
    for (let step = 0; step < 5_000; step += 1) {
      const key = `k${Math.floor(random() * 20)}`;
      const size = 1 + Math.floor(random() * 110);
      const mine = list.find(([other]) => other === key);
      const what = random();
      if (what < 0.2) {
        kept.use(key);
        if (mine !== undefined) list = [...list.filter((each) => each !== mine), mine];
      } else if (what < 0.3) {
        kept.remove(key);
        list = list.filter((each) => each !== mine);
      } else {
        list = list.filter((each) => each !== mine);
        const fits = size <= bounds.maxBytes;
        while (fits && (list.length >= bounds.maxEntries || bytes() + size > bounds.maxBytes)) list = list.slice(1);
        if (fits) list = [...list, [key, size]];
        expect(kept.set(key, size)).toBe(fits);
      }
      expect([kept.size(), kept.bytes()]).toEqual([list.length, bytes()]);
      for (const [each, value] of list) expect(kept.get(each)).toBe(value);
    }
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
