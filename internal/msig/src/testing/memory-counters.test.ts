import { expect, test } from 'vitest';
import { testCounters } from '../../../store/src/testing/counters-contract.ts';
import { createMemoryCounters } from './memory-counters.ts';

testCounters(() => ({
  nodes: (now) => {
    // Two callers of one process.
    const counters = createMemoryCounters({ now });
    return [counters, counters];
  },
}));

test('a memory that is full of live counters refuses; what is over makes room', async () => {
  let nowMs = 0;
  const counters = createMemoryCounters({ now: () => nowMs, max: 2 });
  const take = (counter: string) => counters.take('t', [{ counter, window: 'minute', amount: 1, limit: 1 }]);
  await take('a');
  await take('b');
  await expect(take('c')).rejects.toMatchObject({ code: 'unavailable' });
  nowMs = 120_000;
  expect((await take('c')).kind).toBe('granted');
});
