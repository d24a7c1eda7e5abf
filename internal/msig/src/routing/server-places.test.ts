import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { BackendConfig } from '../config/gateway-config.ts';
import type { Place } from './fleet.ts';
import { aBackend, aConfig, aFleet, answered, cancelled, failed, rejected } from './testing/a-fleet.ts';
import type { EnterChanges } from './testing/a-fleet.ts';
import { createManualTime, settled } from './testing/manual-time.ts';

function setUp(changes: Partial<BackendConfig> = {}) {
  const backend = aBackend('b', changes);
  const fleet = aFleet(aConfig([backend]));
  const done: string[] = [];
  /** Enters under a name; what becomes of it is written down. */
  const come = (name: string, enter: EnterChanges = {}): Promise<Place | null> =>
    fleet.at(backend, enter).then(
      (place) => (done.push(name), place),
      (error: PlatformError) => (done.push(`${name}: ${String(error.details['reason'] ?? error.code)}`), null),
    );
  const failure = async (enter: EnterChanges = {}): Promise<PlatformError> => {
    const thrown = await fleet.at(backend, enter).catch((error: unknown) => error);
    if (!(thrown instanceof PlatformError)) throw new Error('It got a place.');
    return thrown;
  };
  return { ...fleet, backend, done, come, failure, health: () => fleet.health()[0] };
}

const servers = (count: number) => Array.from({ length: count }, (_, at) => `http://s${at}:8000`);

describe('the places of a server', () => {
  it('are as many as it may have, and those who wait come in order', async () => {
    const { come, done, health } = setUp({ maxConcurrent: 2 });
    const [first, second] = await Promise.all([come('1'), come('2'), settled()]);
    const later = [come('3'), come('4')];
    await settled();
    expect([done, health()?.inFlight, health()?.queued]).toEqual([['1', '2'], 2, 2]);
    second?.leave(answered());
    await settled();
    expect(done).toEqual(['1', '2', '3']);
    first?.leave(answered());
    for (const place of await Promise.all(later)) place?.leave(answered());
    expect([done, health()?.inFlight, health()?.queued]).toEqual([['1', '2', '3', '4'], 0, 0]);
  });

  it('go to the most urgent first', async () => {
    const { come, done } = setUp({ maxConcurrent: 1 });
    const place = await come('now');
    const priorities = { batch: 9, person: 0, agent: 3, 'second person': 0 };
    const all = Object.entries(priorities).map(([name, priority]) => come(name, { access: { priority } }).then((got) => got?.leave(answered())));
    await settled();
    place?.leave(answered());
    await Promise.all(all);
    expect(done).toEqual(['now', 'person', 'second person', 'agent', 'batch']);
  });

  it('count once, however often one leaves', async () => {
    const { come, health } = setUp();
    const place = await come('1');
    place?.leave(answered());
    place?.leave(answered());
    expect(health()?.inFlight).toBe(0);
  });
});

describe('a line', () => {
  it('is not overtaken by who comes when a place has become free unseen', async () => {
    const { at, backend, come, done, time } = setUp({ endpoints: servers(2), maxConcurrent: 1 });
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

  it.each<readonly [string, number, (fleet: ReturnType<typeof setUp>) => Promise<Place>]>([
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
    const fleet = setUp({ endpoints: servers(2), maxConcurrent: 1, maxQueue: 1 });
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
    const { ask, backend, come, failure, time } = setUp({ maxConcurrent: 1, maxQueue: 1 });
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
    const { come, failure, time } = setUp({ maxConcurrent: 1, maxQueue: 2 });
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
    const { come, done } = setUp({ maxConcurrent: 1, maxQueue: 1 });
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
    const { come, failure } = setUp({ maxConcurrent: 1, maxQueue: 0 });
    await come('1');
    expect((await failure()).details['reason']).toBe('queue_full');
  });

  it('is left when the time is up', async () => {
    const { come, time, health, done } = setUp({ maxConcurrent: 1 });
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
    const { come, at, time, health, backend, events } = setUp({ maxConcurrent: 1 });
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
    const { come, done, close, time, failure } = setUp({ maxConcurrent: 1 });
    await come('1');
    const waiting = come('2');
    await close();
    await waiting;
    expect([done, time.pending(), (await failure()).details['reason']]).toEqual([['1', '2: closing'], 0, 'closing']);
  });
});

describe('a server that fails', () => {
  it('is not asked until its breaker tries again, with one request', async () => {
    const { ask, backend, failure, time, come, done, health } = setUp();
    await ask(backend, failed(), 5);
    expect(await failure()).toMatchObject({ code: 'model_unavailable', message: 'No server of the model backend "b" may be asked at the moment. The latest failure: It is broken.', details: { reason: 'breaker_open' } });
    expect(health()).toMatchObject({ state: 'down', breaker: 'open', detail: 'It is broken.' });
    await time.pass(12_000);
    expect(health()?.breaker).toBe('half_open');
    const probe = await come('probe');
    await come('second');
    probe?.leave(answered());
    await come('third');
    expect(done).toEqual(['probe', 'second: breaker_open', 'third']);
    expect(health()).toMatchObject({ state: 'up', breaker: 'closed', detail: '' });
  });

  it('says while its probe is under way to come again after as long as that has taken', async () => {
    const { ask, backend, failure, time, come } = setUp();
    await ask(backend, failed(), 5);
    await time.pass(12_000);
    await come('probe');
    const waits: unknown[] = [];
    for (const ms of [0, 500, 4_500, 85_000]) {
      await time.pass(ms);
      waits.push((await failure()).details['retry_after_ms']);
    }
    expect(waits).toEqual([1_000, 1_000, 5_000, 60_000]);
  });

  it('lets those in who wait when its probe has begun to answer', async () => {
    const { at, backend, come, done, time } = setUp({ endpoints: servers(2), maxConcurrent: 2 });
    const busy = [await at(backend, { avoid: ['http://s1:8000'] }), await at(backend, { avoid: ['http://s1:8000'] })];
    for (let made = 0; made < 5; made += 1) (await at(backend)).leave(failed());
    await time.pass(12_000);
    const probe = await at(backend);
    const waiting = come('2');
    await settled();
    expect([busy.map(({ endpoint }) => endpoint), probe.endpoint, done]).toEqual([['http://s0:8000', 'http://s0:8000'], 'http://s1:8000', []]);
    probe.began();
    await waiting;
    expect(done).toEqual(['2']);
  });

  it('after it has begun to answer fails all the same: the row of failures goes on', async () => {
    const { at, backend, health } = setUp();
    for (let made = 0; made < 5; made += 1) {
      const place = await at(backend);
      place.began();
      place.leave(failed());
    }
    expect(health()?.breaker).toBe('open');
  });

  it('is back when the probe has begun to answer, however long the answer is', async () => {
    const { ask, backend, time, come, done } = setUp();
    await ask(backend, failed(), 5);
    await time.pass(12_000);
    const probe = await come('probe');
    probe?.began();
    await come('second');
    expect(done).toEqual(['probe', 'second']);
  });

  it('leaves those who wait for it no longer waiting', async () => {
    const { ask, backend, come, done } = setUp({ maxConcurrent: 1 });
    await ask(backend, failed(), 4);
    const place = await come('1');
    const waiting = come('2');
    await settled();
    place?.leave(failed());
    await waiting;
    expect(done).toEqual(['1', '2: breaker_open']);
  });

  it('is asked by others than those whom it failed, while another has a place', async () => {
    const { at, backend } = setUp({ endpoints: servers(2), maxConcurrent: 1 });
    const first = await at(backend);
    first.leave(failed());
    const second = await at(backend, { avoid: [first.endpoint] });
    expect(second.endpoint).not.toBe(first.endpoint);
    // Better than waiting, as the other may be long.
    expect((await at(backend, { avoid: [first.endpoint] })).endpoint).toBe(first.endpoint);
  });

  it('is the only one that need be waited for, unless another may be asked and has a place', async () => {
    const { at, ask, backend, hasOther, time } = setUp({ endpoints: servers(2), maxConcurrent: 1 });
    const [s0 = '', s1 = ''] = servers(2);
    expect([hasOther(backend, []), hasOther(backend, [s0]), hasOther(backend, [s0, s1])]).toEqual([true, true, false]);
    const both = [await at(backend), await at(backend)];
    expect([hasOther(backend, [s0]), hasOther(backend, [])]).toEqual([false, false]);
    for (const place of both) place.leave(answered());
    await ask(backend, failed({ status: 429, retry_after_ms: 1_000 }));
    expect([hasOther(backend, [s0]), hasOther(backend, [s1])].toSorted()).toEqual([false, true]);
    await time.pass(1_000);
    expect([hasOther(backend, [s0]), hasOther(backend, [s1])]).toEqual([true, true]);
  });

  it('does not keep the others from being asked', async () => {
    const { at, backend, health } = setUp({ endpoints: servers(2) });
    for (let made = 0; made < 40; made += 1) {
      const place = await at(backend);
      place.leave(place.endpoint === 'http://s0:8000' ? failed() : answered());
    }
    expect(health()).toMatchObject({ state: 'up', breaker: 'closed' });
    const asked = await Promise.all(Array.from({ length: 20 }, () => at(backend)));
    expect(new Set(asked.map(({ endpoint }) => endpoint))).toEqual(new Set(['http://s1:8000']));
  });

  it('is neither up nor down because of what its callers did', async () => {
    const { ask, backend, health } = setUp();
    await ask(backend, cancelled, 30);
    expect(health()).toMatchObject({ state: 'unknown', detail: 'No call yet.', firstByteMs: null });
    await ask(backend, rejected(400), 30);
    expect(health()).toMatchObject({ state: 'up', breaker: 'closed', detail: '' });
  });
});

describe('a server that asks for a pause', () => {
  it('gets it, and who comes meanwhile waits where it is short', async () => {
    const { ask, backend, come, done, time, events } = setUp();
    await ask(backend, failed({ status: 429, retry_after_ms: 800 }));
    const waiting = come('patient');
    await come('hurried', { withinMs: 500 });
    expect(done).toEqual(['hurried: breaker_open']);
    await time.pass(800);
    await waiting;
    expect([done, time.pending()]).toEqual([['hurried: breaker_open', 'patient'], 0]);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'cooling', backend: 'b', endpoint: 'http://b:8000', forMs: 800 }));
  });

  it('that is long turns away with what it said', async () => {
    const { ask, backend, failure } = setUp();
    await ask(backend, failed({ status: 429, retry_after_ms: 30_000 }));
    expect(await failure()).toMatchObject({ message: expect.stringContaining('It is broken.'), details: { reason: 'breaker_open', retry_after_ms: 30_000 } });
  });

  it('leaves the work to the others', async () => {
    const { at, backend } = setUp({ endpoints: servers(2) });
    const first = await at(backend);
    first.leave(failed({ status: 429, retry_after_ms: 5_000 }));
    const asked = await Promise.all(Array.from({ length: 20 }, () => at(backend)));
    expect(asked.some(({ endpoint }) => endpoint === first.endpoint)).toBe(false);
  });
});

describe('what a backend says of itself', () => {
  it('is that it is down while it has only failed, and up when a few failures are between answers', async () => {
    const { ask, backend, health } = setUp();
    await ask(backend, failed());
    expect(health()).toMatchObject({ state: 'down', breaker: 'closed', detail: 'It is broken.' });
    await ask(backend, answered());
    await ask(backend, failed());
    expect(health()).toMatchObject({ state: 'up', detail: 'It is broken.' });
  });

  it('is that it is down when it refuses us, with what it said, until it answers', async () => {
    const { ask, backend, health } = setUp();
    await ask(backend, rejected(401), 6);
    expect(health()).toMatchObject({ state: 'down', breaker: 'closed', detail: 'Refused.' });
    await ask(backend, answered());
    expect(health()).toMatchObject({ state: 'up', detail: '' });
    await ask(backend, rejected(401), 4);
    expect(health()).toMatchObject({ state: 'up', detail: 'Refused.' });
    await ask(backend, rejected(401));
    expect(health()).toMatchObject({ state: 'down', detail: 'Refused.' });
    await ask(backend, answered());
    expect(health()).toMatchObject({ state: 'up', detail: '' });
  });

  it('is the mean of what its servers took', async () => {
    const { ask, backend, health } = setUp();
    await ask(backend, answered(100));
    expect(health()).toEqual({ name: 'b', state: 'up', detail: '', breaker: 'closed', inFlight: 0, queued: 0, firstByteMs: 100, totalMs: 200 });
    await ask(backend, answered(200));
    expect(health()?.firstByteMs).toBeCloseTo(110);
    // Failures are quick, and say nothing about how quick answers are.
    await ask(backend, { ...failed(), firstByteMs: 1 });
    expect(health()?.firstByteMs).toBeCloseTo(110);
  });

  it('of a backend without servers is said all the same', async () => {
    const { ask, backend, at, health } = setUp({ endpoints: [], type: 'scripted' });
    await ask(backend, answered());
    expect([(await at(backend)).endpoint, health()?.state]).toEqual(['', 'up']);
  });
});
