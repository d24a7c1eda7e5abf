import { describe, expect, test } from 'vitest';
import { createRandom } from './seeded-random.ts';

/** As internal/msig has it (accounting/shared-counters.ts); rooms meet here by its shape. */
interface Counters {
  readonly take: (tenantId: string, items: readonly Take[]) => Promise<Result>;
  readonly give: (tenantId: string, items: readonly Give[]) => Promise<void>;
}

type Window = 'minute' | 'day' | 'month' | 'total';

interface Take {
  readonly counter: string;
  readonly window: Window;
  readonly amount: number;
  readonly limit: number;
}

interface Give {
  readonly counter: string;
  readonly window: Window;
  readonly bucket: number;
  readonly amount: number;
}

interface State {
  readonly bucket: number;
  readonly used: number;
  readonly before: number;
}

type Result =
  | { readonly kind: 'granted'; readonly nowMs: number; readonly states: readonly State[] }
  | { readonly kind: 'exceeded'; readonly nowMs: number; readonly states: readonly State[] };

export interface CountersHarness {
  /** Counters on one store, each as a node of its own has them; `now` sets the time of all. */
  readonly nodes: (now: () => number) => readonly [Counters, Counters];
}

const START_MS = Date.UTC(2026, 10, 24, 12, 0, 10);
const MINUTE = 60_000;

/** What every store of counters promises, whatever it is. */
export function testCounters(harness: () => CountersHarness): void {
  let serial = 0;
  const open = () => {
    let nowMs = START_MS;
    const [one, two] = harness().nodes(() => nowMs);
    const counter = `c${++serial}`;
    const take = (amount: number, limit: number, over: Partial<Take> = {}): Promise<Result> => one.take('t', [{ counter, window: 'minute', amount, limit, ...over }]);
    return { one, two, counter, take, at: (ms: number) => (nowMs = START_MS + ms), set: (ms: number) => (nowMs = ms) };
  };

  describe('counters', () => {
    test('grants up to the limit and says what is used; the next does not fit and takes nothing', async () => {
      const { take } = open();
      expect(await take(6, 10)).toMatchObject({ kind: 'granted', nowMs: START_MS, states: [{ used: 6, before: 0 }] });
      expect(await take(5, 10)).toMatchObject({ kind: 'exceeded', nowMs: START_MS, states: [{ used: 6 }] });
      expect(await take(4, 10)).toMatchObject({ kind: 'granted', states: [{ used: 10 }] });
      expect((await take(1, 10)).kind).toBe('exceeded');
    });

    test('takes from all or from none, and tells of all how they stand', async () => {
      const { one, counter } = open();
      const items = (big: number) => [{ counter: `${counter}/b`, window: 'day' as const, amount: 5, limit: 10 }, { counter: `${counter}/a`, window: 'minute' as const, amount: big, limit: 10 }];
      expect(await one.take('t', items(11))).toMatchObject({ kind: 'exceeded', states: [{ used: 0 }, { used: 0 }] });
      expect(await one.take('t', items(10))).toMatchObject({ kind: 'granted', states: [{ used: 5 }, { used: 10 }] });
      expect(await one.take('t', items(1))).toMatchObject({ kind: 'exceeded', states: [{ used: 5 }, { used: 10 }] });
      expect(await one.take('t', [items(1)[0] as Take])).toMatchObject({ kind: 'granted', states: [{ used: 10 }] });
    });

    test('tenants share nothing', async () => {
      const { one, counter } = open();
      const item = { counter, window: 'minute' as const, amount: 10, limit: 10 };
      expect((await one.take('a', [item])).kind).toBe('granted');
      expect((await one.take('b', [item])).kind).toBe('granted');
      expect((await one.take('a', [item])).kind).toBe('exceeded');
    });

    test('a minute slides: as it fades, so much of it is free again', async () => {
      const { take, at: later } = open();
      later(-10_000);
      await take(100, 100);
      later(49_999);
      expect((await take(1, 100)).kind).toBe('exceeded');
      later(50_000);
      expect((await take(1, 100)).kind).toBe('exceeded');
      for (const at of [50_000 + MINUTE / 4, 50_000 + MINUTE / 2]) {
        later(at);
        expect((await take(26, 100)).kind).toBe('exceeded');
        expect((await take(25, 100)).kind).toBe('granted');
      }
      later(50_000 + 3 * MINUTE);
      expect((await take(100, 100)).kind).toBe('granted');
    });

    test('a day and a month end with those of UTC, also in December and in a leap year', async () => {
      const { take, set } = open();
      set(Date.parse('2026-11-24T23:59:59.999Z'));
      expect((await take(1, 1, { window: 'day' })).kind).toBe('granted');
      expect((await take(1, 1, { window: 'day' })).kind).toBe('exceeded');
      set(Date.parse('2026-11-25T00:00:00.000Z'));
      expect((await take(1, 1, { window: 'day' })).kind).toBe('granted');
      const { take: takeMonth, set: setMonth } = open();
      const buckets: number[] = [];
      for (const [last, next] of [['2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.000Z'], ['2028-02-29T23:59:59.999Z', '2028-03-01T00:00:00.000Z']] as const) {
        for (const time of [last, next]) {
          setMonth(Date.parse(time));
          const granted = await takeMonth(1, 1, { window: 'month' });
          expect(granted.kind).toBe('granted');
          if (granted.kind === 'granted') buckets.push(granted.states[0]?.bucket ?? Number.NaN);
          expect((await takeMonth(1, 1, { window: 'month' })).kind).toBe('exceeded');
        }
      }
      expect(buckets).toEqual([2026 * 12 + 11, 2027 * 12, 2028 * 12 + 1, 2028 * 12 + 2]);
    });

    test('a total never ends', async () => {
      const { take, set } = open();
      expect((await take(7, 10, { window: 'total' })).kind).toBe('granted');
      set(Date.UTC(2040, 0, 1));
      expect(await take(4, 10, { window: 'total' })).toMatchObject({ kind: 'exceeded', states: [{ used: 7 }] });
      expect((await take(3, 10, { window: 'total' })).kind).toBe('granted');
    });

    test('what is given back is free again, in its own bucket and in no other', async () => {
      const { take, two, counter, at } = open();
      const first = await take(90, 100);
      const bucket = first.kind === 'granted' ? (first.states[0]?.bucket ?? 0) : 0;
      await two.give('t', [{ counter, window: 'minute', bucket, amount: 60 }, { counter, window: 'minute', bucket, amount: 10 }]);
      expect(await take(80, 100)).toMatchObject({ kind: 'granted', states: [{ used: 100 }] });
      at(MINUTE);
      await two.give('t', [{ counter, window: 'minute', bucket, amount: 40 }]);
      expect(await take(1, 100)).toMatchObject({ kind: 'granted', states: [{ bucket: bucket + 1, used: 1, before: 60 }] });
      at(2 * MINUTE);
      await two.give('t', [{ counter, window: 'minute', bucket, amount: 1_000 }]);
      expect(await take(1, 100)).toMatchObject({ kind: 'granted', states: [{ used: 1, before: 1 }] });
    });

    test('never below zero, and not for a counter that nobody knows', async () => {
      const { take, one, counter } = open();
      await one.give('t', [{ counter, window: 'total', bucket: 0, amount: 50 }]);
      await take(5, 10, { window: 'total' });
      await one.give('t', [{ counter, window: 'total', bucket: 0, amount: 50 }]);
      expect(await take(10, 10, { window: 'total' })).toMatchObject({ kind: 'granted', states: [{ used: 10 }] });
    });

    test('what was used beyond the reservation is taken beyond the limit, now', async () => {
      const { take, one, counter, at } = open();
      const first = await take(90, 100);
      at(MINUTE);
      await one.give('t', [{ counter, window: 'minute', bucket: first.kind === 'granted' ? (first.states[0]?.bucket ?? 0) : 0, amount: -250 }]);
      expect(await take(1, 100)).toMatchObject({ kind: 'exceeded', states: [{ used: 250, before: 90 }] });
    });

    test('money of any size is counted to the nano-dollar', async () => {
      const { take } = open();
      const limit = Number.MAX_SAFE_INTEGER;
      expect((await take(limit - 3, limit, { window: 'month' })).kind).toBe('granted');
      expect((await take(4, limit, { window: 'month' })).kind).toBe('exceeded');
      expect(await take(3, limit, { window: 'month' })).toMatchObject({ kind: 'granted', states: [{ used: limit }] });
    });

    test('200 at once over two nodes, and over the end of a minute: never more than the limit', async () => {
      const { one, two, counter, set } = open();
      const items = [{ counter: `${counter}/b`, window: 'minute', amount: 1, limit: 50 }, { counter: `${counter}/a`, window: 'day', amount: 3, limit: 100_000 }] as const;
      const burst = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          // To the end of the minute and no further: nothing has faded yet.
          if (index === 100) set(START_MS + 50_000);
          return (await (index % 2 === 0 ? one : two).take('t', items)).kind;
        }),
      );
      expect(burst.filter((kind) => kind === 'granted')).toHaveLength(50);
      expect(await one.take('t', [{ ...items[1], amount: 1 }])).toMatchObject({ states: [{ used: 151 }] });
    });

    test('takes and gives of many counters in any order at once do not wait for each other for ever', async () => {
      const { one, two, counter } = open();
      const random = createRandom(7);
      const names = ['a', 'b', 'c', 'd'].map((name) => `${counter}/${name}`);
      const held: Give[] = [];
      await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          const shuffled = names.toSorted(() => random() - 0.5).slice(0, 1 + Math.floor(random() * 4));
          const node = index % 2 === 0 ? one : two;
          const result = await node.take('t', shuffled.map((name) => ({ counter: name, window: 'day', amount: 2, limit: 1_000 })));
          if (result.kind !== 'granted') throw new Error('the limit is far away');
          const back = shuffled.map((name, at): Give => ({ counter: name, window: 'day', bucket: result.states[at]?.bucket ?? 0, amount: index % 3 === 0 ? 2 : -1 }));
          held.push(...back);
          await node.give('t', back);
        }),
      );
      for (const name of names) {
        const expected = held.filter((item) => item.counter === name).reduce((sum, { amount }) => sum + 2 - amount, 0);
        const left = await one.take('t', [{ counter: name, window: 'day', amount: 1, limit: 100_000 }]);
        expect(left).toMatchObject({ kind: 'granted', states: [{ used: expected + 1 }] });
      }
    });

    test('a history of takes, gives and jumps of the clock is what a plain model of it is', async () => {
      const { one, two, counter, at } = open();
      const random = createRandom(42);
      let ms = 0;
      const model = new Map<number, number>();
      for (let step = 0; step < 80; step += 1) {
        if (random() < 0.3) at((ms += Math.floor(random() * 70_000)));
        const now = START_MS + ms;
        const bucket = Math.floor(now / MINUTE);
        const share = bucket + 1 - now / MINUTE;
        const amount = 1 + Math.floor(random() * 40);
        const counted = (model.get(bucket) ?? 0) + (model.get(bucket - 1) ?? 0) * share;
        const result = await (random() < 0.5 ? one : two).take('t', [{ counter, window: 'minute', amount, limit: 100 }]);
        expect([step, result.kind]).toEqual([step, counted + amount <= 100 ? 'granted' : 'exceeded']);
        if (result.kind === 'exceeded') continue;
        model.set(bucket, (model.get(bucket) ?? 0) + amount);
        if (random() < 0.5) continue;
        await two.give('t', [{ counter, window: 'minute', bucket, amount: Math.ceil(amount / 2) }]);
        model.set(bucket, (model.get(bucket) ?? 0) - Math.ceil(amount / 2));
      }
    });
  });
}
