import { describe, expect, test } from 'vitest';
import type { Clock } from '@openeaap/kernel';
import { PlatformError, systemClock } from '@openeaap/kernel';
import { createReadiness } from './readiness.ts';

/** Its waits end when the test says so. */
function createHandClock() {
  const waits: (() => void)[] = [];
  const clock: Clock = { ...systemClock, sleep: (_ms, signal) => new Promise((resolve) => {
    waits.push(resolve);
    signal?.addEventListener('abort', () => resolve());
  }) };
  return { clock, waits, passAll: () => waits.splice(0).forEach((end) => end()) };
}

function create(over: Partial<Parameters<typeof createReadiness>[0]> = {}) {
  const hand = createHandClock();
  const readiness = createReadiness({ ping: async () => undefined, alive: () => true, died: new Promise(() => undefined), clock: hand.clock, timeoutMs: 2_000, ...over });
  return { ...hand, readiness };
}

describe('readiness', () => {
  test('is there while the database answers and the node lives', async () => {
    await expect(create().readiness.checkReady()).resolves.toBeUndefined();
  });

  test('names each check that fails', async () => {
    const { readiness } = create({ ping: async () => Promise.reject(new Error('gone')), alive: () => false });
    readiness.drain();
    await expect(readiness.checkReady()).rejects.toMatchObject({ code: 'unavailable', details: { failed: ['draining', 'heartbeat', 'database'] } });
    await expect(readiness.checkLive()).resolves.toBeUndefined();
  });

  test('takes a database that never answers for lost, asks it once however many probes wait, and is back when it answers', async () => {
    let asked = 0;
    let hangs = true;
    const { readiness, passAll } = create({
      ping: () => {
        asked += 1;
        return hangs ? new Promise(() => undefined) : Promise.resolve();
      },
    });
    const probes = Promise.allSettled([readiness.checkReady(), readiness.checkReady(), readiness.checkReady()]);
    passAll();
    expect((await probes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(asked).toBe(1);
    hangs = false;
    await expect(readiness.checkReady()).resolves.toBeUndefined();
  });

  test('a process that cannot go on is not alive', async () => {
    const died = Promise.resolve(new PlatformError('unavailable', 'The embedded database is gone.'));
    const { readiness } = create({ died });
    await died;
    await expect(readiness.checkLive()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('The embedded database is gone.') });
  });
});
