import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { Place } from './fleet.ts';
import { aBackend, aConfig, aFleet, answered, failed } from './testing/a-fleet.ts';
import { createManualTime, settled } from './testing/manual-time.ts';
import { servers, setUpBackend } from './testing/one-backend.ts';

describe('a line', () => {
  it('is not overtaken by who comes when a place has become free unseen', async () => {
    const { at, backend, come, done, time } = setUpBackend({ endpoints: servers(2), maxConcurrent: 1 });
    for (let failures = 0; failures < 5; ) {
      const place = await at(backend);
      const fails = place.endpoint === 'http://s0:8000';
      place.leave(fails ? failed() : answered());
      failures += fails ? 1 : 0;
    }
    await come('1');
    const waiting = come('2', { withinMs: 60_000 });
    await time.pass(12_000);
    // The breaker of the other server tries again, of which nobody tells those who wait.
    void come('3');
    await waiting;
    expect(done).toEqual(['1', '2']);
  });

  it.each<readonly [string, number, (fleet: ReturnType<typeof setUpBackend>) => Promise<Place>]>([
    ['a pause is over', 1_000, async ({ at, backend }) => {
      const [busy, paused] = [await at(backend), await at(backend)];
      paused.leave(failed({ status: 429, retry_after_ms: 1_000 }));
      return busy;
    }],
    ['a breaker tries again', 12_000, async ({ at, backend }) => {
      const busy = await at(backend);
      for (let made = 0; made < 5; made += 1) (await at(backend)).leave(failed());
      return busy;
    }],
    ['an ejection ends', 30_000, async ({ at, backend, time }) => {
      for (let made = 0; made < 12; made += 1) {
        const both = [await at(backend), await at(backend)];
        for (const place of both) place.leave(answered(place.endpoint === 'http://s0:8000' ? 900 : 10));
        await time.pass(20);
      }
      await time.pass(250);
      const both = [await at(backend), await at(backend)];
      for (const place of both) place.leave(answered(10));
      return at(backend);
    }],
  ])('is served when %s, of which nobody else tells', async (_what, ms, begin) => {
    const fleet = setUpBackend({ endpoints: servers(2), maxConcurrent: 1, maxQueue: 1 });
    const busy = await begin(fleet);
    const waiting = fleet.come('2', { withinMs: 60_000 });
    await fleet.time.pass(ms / 2);
    expect(fleet.done).toEqual([]);
    await fleet.time.pass(ms / 2);
    expect(fleet.done).toEqual(['2']);
    (await waiting)?.leave(answered());
    (await fleet.come('3'))?.leave(answered());
    busy.leave(answered());
    expect([fleet.done, fleet.time.pending()]).toEqual([['2', '3'], 0]);
  });

  it('gets a place that the clock has freed before its timer rings, and then takes who comes', async () => {
    const backend = aBackend('b', { endpoints: servers(2), maxConcurrent: 1, maxQueue: 1 });
    const time = createManualTime();
    let lateMs = 0;
    // The process was busy: the clock is ahead of the timers.
    const { at } = aFleet(aConfig([backend]), { time: { ...time, now: () => time.now() + lateMs } });
    const served: string[] = [];
    await at(backend);
    (await at(backend)).leave(failed({ status: 429, retry_after_ms: 1_000 }));
    void at(backend, { withinMs: 60_000 }).then(() => served.push('first'));
    await settled();
    lateMs = 1_000;
    void at(backend, { withinMs: 60_000 }).then(() => served.push('second'));
    await settled();
    expect(served).toEqual(['first']);
  });

  it('says nothing of how fast it is while nobody waits', async () => {
    const { ask, backend, come, failure, time } = setUpBackend({ maxConcurrent: 1, maxQueue: 1 });
    for (let made = 0; made < 20; made += 1) {
      await ask(backend, answered());
      await time.pass(600_000);
    }
    await come('1');
    void come('2');
    await settled();
    expect((await failure()).details).toMatchObject({ reason: 'queue_full', retry_after_ms: 1_000 });
  });

  it('that is full turns away, and says when to come again', async () => {
    const { come, failure, time } = setUpBackend({ maxConcurrent: 1, maxQueue: 2 });
    // Until it is known how fast places become free, a second.
    for (const [name, retryAfterMs] of [['1', 1_000], ['2', 1_200]] as const) {
      const place = await come(name);
      const waiting = [come(`${name}a`), come(`${name}b`)];
      await settled();
      expect(await failure()).toMatchObject({ code: 'model_unavailable', retryable: true, details: { backend: 'b', reason: 'queue_full', retry_after_ms: retryAfterMs } });
      for (const each of [place, ...waiting]) {
        await time.pass(400);
        (await each)?.leave(answered());
      }
      await time.pass(400);
    }
  });

  it('that is full lets a more urgent one take the place of the last', async () => {
    const { come, done } = setUpBackend({ maxConcurrent: 1, maxQueue: 1 });
    const place = await come('1');
    const batch = come('batch', { access: { priority: 5 } });
    const person = come('person');
    await batch;
    expect(done).toEqual(['1', 'batch: queue_full']);
    expect(await come('another')).toBeNull();
    place?.leave(answered());
    (await person)?.leave(answered());
    expect(done).toEqual(['1', 'batch: queue_full', 'another: queue_full', 'person']);
  });

  it('of length 0 lets nobody wait', async () => {
    const { come, failure } = setUpBackend({ maxConcurrent: 1, maxQueue: 0 });
    await come('1');
    expect((await failure()).details['reason']).toBe('queue_full');
  });

  it('is left when the time is up', async () => {
    const { come, time, health, done } = setUpBackend({ maxConcurrent: 1 });
    const place = await come('1');
    const waiting = come('2', { withinMs: 300 });
    const patient = come('3', { withinMs: 5_000 });
    await time.pass(299);
    expect(done).toEqual(['1']);
    await time.pass(1);
    await waiting;
    expect([done, health()?.queued]).toEqual([['1', '2: queue_timeout'], 1]);
    place?.leave(answered());
    (await patient)?.leave(answered());
    expect(time.pending()).toBe(0);
  });

  it('is left without a trace by who goes away', async () => {
    const { come, at, time, health, backend, events } = setUpBackend({ maxConcurrent: 1 });
    const place = await come('1');
    const controller = new AbortController();
    const leaving = at(backend, { signal: controller.signal });
    const staying = come('2');
    const reason = new PlatformError('cancelled', 'left');
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    expect([health()?.queued, health()?.inFlight]).toEqual([1, 1]);
    place?.leave(answered());
    (await staying)?.leave(answered());
    expect([health()?.queued, health()?.inFlight, time.pending()]).toEqual([0, 0, 0]);
    expect(events.filter(({ kind }) => kind === 'queue')).toMatchObject([{ outcome: 'left' }, { outcome: 'served' }]);
    await expect(at(backend, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('ends with the fleet', async () => {
    const { come, done, close, time, failure } = setUpBackend({ maxConcurrent: 1 });
    await come('1');
    const waiting = come('2');
    await close();
    await waiting;
    expect([done, time.pending(), (await failure()).details['reason']]).toEqual([['1', '2: closing'], 0, 'closing']);
  });
});
