import { describe, expect, it } from 'vitest';
import { answered, cancelled, failed, rejected } from './testing/a-fleet.ts';
import { settled } from './testing/manual-time.ts';
import { servers, setUpBackend } from './testing/one-backend.ts';

describe('the places of a server', () => {
  it('are as many as it may have, and those who wait come in order', async () => {
    const { come, done, health } = setUpBackend({ maxConcurrent: 2 });
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
    const { come, done } = setUpBackend({ maxConcurrent: 1 });
    const place = await come('now');
    const priorities = { batch: 9, person: 0, agent: 3, 'second person': 0 };
    const all = Object.entries(priorities).map(([name, priority]) => come(name, { access: { priority } }).then((got) => got?.leave(answered())));
    await settled();
    place?.leave(answered());
    await Promise.all(all);
    expect(done).toEqual(['now', 'person', 'second person', 'agent', 'batch']);
  });

  it('count once, however often one leaves', async () => {
    const { come, health } = setUpBackend();
    const place = await come('1');
    place?.leave(answered());
    place?.leave(answered());
    expect(health()?.inFlight).toBe(0);
  });
});

describe('a server that fails', () => {
  it('is not asked until its breaker tries again, with one request', async () => {
    const { ask, backend, failure, time, come, done, health } = setUpBackend();
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
    const { ask, backend, failure, time, come } = setUpBackend();
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
    const { at, backend, come, done, time } = setUpBackend({ endpoints: servers(2), maxConcurrent: 2 });
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
    const { at, backend, health } = setUpBackend();
    for (let made = 0; made < 5; made += 1) {
      const place = await at(backend);
      place.began();
      place.leave(failed());
    }
    expect(health()?.breaker).toBe('open');
  });

  it('is back when the probe has begun to answer, however long the answer is', async () => {
    const { ask, backend, time, come, done } = setUpBackend();
    await ask(backend, failed(), 5);
    await time.pass(12_000);
    const probe = await come('probe');
    probe?.began();
    await come('second');
    expect(done).toEqual(['probe', 'second']);
  });

  it('leaves those who wait for it no longer waiting', async () => {
    const { ask, backend, come, done } = setUpBackend({ maxConcurrent: 1 });
    await ask(backend, failed(), 4);
    const place = await come('1');
    const waiting = come('2');
    await settled();
    place?.leave(failed());
    await waiting;
    expect(done).toEqual(['1', '2: breaker_open']);
  });

  it('is asked by others than those whom it failed, while another has a place', async () => {
    const { at, backend } = setUpBackend({ endpoints: servers(2), maxConcurrent: 1 });
    const first = await at(backend);
    first.leave(failed());
    const second = await at(backend, { avoid: [first.endpoint] });
    expect(second.endpoint).not.toBe(first.endpoint);
    // Better than waiting, as the other may be long.
    expect((await at(backend, { avoid: [first.endpoint] })).endpoint).toBe(first.endpoint);
  });

  it('is the only one that need be waited for, unless another may be asked and has a place', async () => {
    const { at, ask, backend, hasOther, time } = setUpBackend({ endpoints: servers(2), maxConcurrent: 1 });
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
    const { at, backend, health } = setUpBackend({ endpoints: servers(2) });
    for (let made = 0; made < 40; made += 1) {
      const place = await at(backend);
      place.leave(place.endpoint === 'http://s0:8000' ? failed() : answered());
    }
    expect(health()).toMatchObject({ state: 'up', breaker: 'closed' });
    const asked = await Promise.all(Array.from({ length: 20 }, () => at(backend)));
    expect(new Set(asked.map(({ endpoint }) => endpoint))).toEqual(new Set(['http://s1:8000']));
  });

  it('is neither up nor down because of what its callers did', async () => {
    const { ask, backend, health } = setUpBackend();
    await ask(backend, cancelled, 30);
    expect(health()).toMatchObject({ state: 'unknown', detail: 'No call yet.', firstByteMs: null });
    await ask(backend, rejected(400), 30);
    expect(health()).toMatchObject({ state: 'up', breaker: 'closed', detail: '' });
  });
});

describe('a server that asks for a pause', () => {
  it('gets it, and who comes meanwhile waits where it is short', async () => {
    const { ask, backend, come, done, time, events } = setUpBackend();
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
    const { ask, backend, failure } = setUpBackend();
    await ask(backend, failed({ status: 429, retry_after_ms: 30_000 }));
    expect(await failure()).toMatchObject({ message: expect.stringContaining('It is broken.'), details: { reason: 'breaker_open', retry_after_ms: 30_000 } });
  });

  it('leaves the work to the others', async () => {
    const { at, backend } = setUpBackend({ endpoints: servers(2) });
    const first = await at(backend);
    first.leave(failed({ status: 429, retry_after_ms: 5_000 }));
    const asked = await Promise.all(Array.from({ length: 20 }, () => at(backend)));
    expect(asked.some(({ endpoint }) => endpoint === first.endpoint)).toBe(false);
  });
});

describe('what a backend says of itself', () => {
  it('is that it is down while it has only failed, and up when a few failures are between answers', async () => {
    const { ask, backend, health } = setUpBackend();
    await ask(backend, failed());
    expect(health()).toMatchObject({ state: 'down', breaker: 'closed', detail: 'It is broken.' });
    await ask(backend, answered());
    await ask(backend, failed());
    expect(health()).toMatchObject({ state: 'up', detail: 'It is broken.' });
  });

  it('is that it is down when it refuses us, with what it said, until it answers', async () => {
    const { ask, backend, health } = setUpBackend();
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
    const { ask, backend, health } = setUpBackend();
    await ask(backend, answered(100));
    expect(health()).toEqual({ name: 'b', state: 'up', detail: '', breaker: 'closed', inFlight: 0, queued: 0, firstByteMs: 100, totalMs: 200 });
    await ask(backend, answered(200));
    expect(health()?.firstByteMs).toBeCloseTo(110);
    // Failures are quick, and say nothing about how quick answers are.
    await ask(backend, { ...failed(), firstByteMs: 1 });
    expect(health()?.firstByteMs).toBeCloseTo(110);
  });

  it('of a backend without servers is said all the same', async () => {
    const { ask, backend, at, health } = setUpBackend({ endpoints: [], type: 'scripted' });
    await ask(backend, answered());
    expect([(await at(backend)).endpoint, health()?.state]).toEqual(['', 'up']);
  });
});
