import { describe, expect, it } from 'vitest';
import { callOf, chatBody, chunk, gate, makeCache, STREAMED } from '../testing/cache-calls.ts';
import type { Gate, TestCall } from '../testing/cache-calls.ts';
import { PlatformError } from '@openeaap/kernel';
import type { CacheCall, Produce } from './answer-cache.ts';

const BODY = { ...chatBody('a long story'), stream: true };
const pieces = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => chunk(`piece ${at}`));
/** Until every promise that can go on has gone on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A source that is driven by hand. */
function source(): Produce & { readonly send: (json: string) => Promise<void> | null; readonly end: () => void; readonly fail: (error: Error) => void; readonly aborted: () => boolean; readonly count: () => number } {
  let sink: { readonly signal: AbortSignal; readonly onChunk: CacheCall['onChunk'] } | null = null;
  let done: Gate = gate();
  let failure: Error | null = null;
  let count = 0;
  const produce: Produce = async (given) => {
    count += 1;
    sink = given;
    given.signal.addEventListener('abort', () => {
      failure = given.signal.reason as Error;
      done.open();
    });
    await done.opened;
    if (failure !== null) throw failure;
    return STREAMED;
  };
  return Object.assign(produce, {
    send: (json: string) => sink?.onChunk(json) ?? null,
    end: () => done.open(),
    fail: (error: Error) => {
      failure = error;
      done.open();
    },
    aborted: () => sink?.signal.aborted ?? false,
    count: () => count,
  });
}

describe('readers of one answer', () => {
  it('have the same chunks in the same order, from the first on, whenever they join', async () => {
    const cache = makeCache();
    const from = source();
    const calls: TestCall[] = [];
    const ends: Promise<unknown>[] = [];
    for (const json of pieces(20)) {
      const call = callOf(BODY);
      calls.push(call);
      ends.push(cache.through(call, from));
      void from.send(json);
    }
    from.end();
    await Promise.all(ends);
    expect(from.count()).toBe(1);
    for (const call of calls) expect(call.got).toEqual(pieces(20));
    expect(calls.map(({ outcomes }) => outcomes.map(({ state }) => state))).toEqual([['miss'], ...Array.from({ length: 19 }, () => ['shared'])]);
  });

  it('read at their own pace: a slow one holds back neither the source nor the others', async () => {
    const cache = makeCache();
    const from = source();
    const stuck = gate();
    const slow = callOf(BODY, { onChunk: () => stuck.opened });
    const quick = callOf(BODY);
    const slowEnd = cache.through(slow, from);
    const quickEnd = cache.through(quick, from);
    for (const json of pieces(10)) expect(from.send(json)).toBeNull();
    from.end();
    await quickEnd;
    expect([quick.got.length, slow.got.length]).toEqual([10, 1]);
    stuck.open();
    await slowEnd;
    expect(slow.got).toEqual(pieces(10));
  });

  it('hold the source back when all of them are full, until one can go on', async () => {
    const cache = makeCache();
    const from = source();
    const [one, other] = [gate(), gate()];
    const ends = [one, other].map(({ opened }) => cache.through(callOf(BODY, { onChunk: () => opened }), from));
    const held = from.send(chunk('a'));
    let isFree = false;
    void held?.then(() => (isFree = true));
    await settle();
    expect(isFree).toBe(false);
    one.open();
    await held;
    other.open();
    from.end();
    await Promise.all(ends);
  });

  it('may leave: the work goes on for the others, and ends with the last', async () => {
    const cache = makeCache();
    const from = source();
    const [leader, follower] = [callOf(BODY), callOf(BODY)];
    const leading = cache.through(leader, from);
    const following = cache.through(follower, from);
    void from.send(chunk('a'));
    leader.leave(new PlatformError('cancelled', 'The leader left.'));
    await expect(leading).rejects.toThrow('The leader left.');
    expect(from.aborted()).toBe(false);
    void from.send(chunk('b'));
    expect(follower.got).toEqual([chunk('a'), chunk('b')]);
    follower.leave();
    await expect(following).rejects.toMatchObject({ code: 'cancelled' });
    expect(from.aborted()).toBe(true);
    expect(cache.sizes()).toMatchObject({ flights: 0, l1Entries: 0 });
  });

  it('that left while they were full do not hold the source back', async () => {
    const cache = makeCache();
    const from = source();
    const full = callOf(BODY, { onChunk: () => new Promise(() => undefined) });
    const leading = cache.through(full, from);
    const held = from.send(chunk('a'));
    const other = callOf(BODY);
    const following = cache.through(other, from);
    await held;
    full.leave();
    await expect(leading).rejects.toMatchObject({ code: 'cancelled' });
    expect(from.send(chunk('b'))).toBeNull();
    from.end();
    await following;
    expect(other.got).toEqual([chunk('a'), chunk('b')]);
  });

  it('let go a source that they held back when the last of them leaves', async () => {
    const cache = makeCache();
    const from = source();
    const full = callOf(BODY, { onChunk: () => new Promise(() => undefined) });
    const leading = cache.through(full, from);
    const held = from.send(chunk('a'));
    full.leave();
    await expect(leading).rejects.toMatchObject({ code: 'cancelled' });
    await held;
    expect(from.send(chunk('b'))).toBeNull();
  });

  it('all have the error that comes after the first chunk', async () => {
    const cache = makeCache();
    const from = source();
    const ends = [1, 2, 3].map(() => cache.through(callOf(BODY), from));
    void from.send(chunk('a'));
    from.fail(new PlatformError('model_unavailable', 'It broke.'));
    for (const { status } of await Promise.allSettled(ends)) expect(status).toBe('rejected');
    expect(from.count()).toBe(1);
    expect(cache.sizes().l1Entries).toBe(0);
  });

  it('lose their place when they are too far behind; nobody joins what is too much to be kept', async () => {
    const cache = makeCache({ cache: { maxEntryBytes: 1_000 } });
    const from = source();
    const stuck = gate();
    const quick = callOf(BODY);
    const slow = callOf(BODY, { onChunk: () => stuck.opened });
    const quickEnd = cache.through(quick, from);
    const slowEnd = cache.through(slow, from);
    slowEnd.catch(() => undefined);
    for (const json of pieces(50)) void from.send(json);
    await expect(slowEnd).rejects.toMatchObject({ code: 'unavailable', details: { reason: 'slow_reader' } });
    expect(cache.sizes().flights).toBe(0);
    const late = source();
    const lateEnd = cache.through(callOf(BODY), late);
    expect(late.count()).toBe(1);
    late.end();
    from.end();
    await Promise.all([quickEnd, lateEnd]);
    expect(quick.got).toEqual(pieces(50));
  });

  it('that throw lose only themselves', async () => {
    const cache = makeCache();
    const from = source();
    const good = callOf(BODY);
    const goodEnd = cache.through(good, from);
    const badEnd = cache.through(callOf(BODY, { onChunk: () => { throw new Error('The socket is gone.'); } }), from);
    badEnd.catch(() => undefined);
    void from.send(chunk('a'));
    from.end();
    await expect(badEnd).rejects.toThrow('The socket is gone.');
    await goodEnd;
    expect(good.got).toEqual([chunk('a')]);
  });

  it('that left before they began are not asked for', async () => {
    const from = source();
    const call = callOf(BODY);
    call.leave();
    await expect(makeCache().through(call, from)).rejects.toMatchObject({ code: 'cancelled' });
    expect(from.count()).toBe(0);
  });
});
