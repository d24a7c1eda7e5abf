import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf, chatBody, counting, gate, makeCache, replyWith } from '../testing/cache-calls.ts';
import type { Produce } from './answer-cache.ts';

const HELLO = chatBody('hello there');

describe('equal requests at once', () => {
  it('are one: a hundred ask, one is made', async () => {
    const cache = makeCache();
    const ready = gate();
    let made = 0;
    const produce: Produce = async () => {
      made += 1;
      await ready.opened;
      return replyWith('once');
    };
    const all = Array.from({ length: 100 }, () => cache.through(callOf(HELLO), produce));
    ready.open();
    const states = (await Promise.all(all)).map(({ reply, cache: outcome }) => `${outcome.state} ${String(reply.document?.includes('once'))}`);
    expect(made).toBe(1);
    expect(states.filter((state) => state === 'shared true')).toHaveLength(99);
    expect(cache.sizes().flights).toBe(0);
  });

  it('are not shared by other tenants, labels, or by who wants no cache', async () => {
    const cache = makeCache();
    const ready = gate();
    let made = 0;
    const produce: Produce = async () => {
      made += 1;
      await ready.opened;
      return replyWith('x');
    };
    const all = [{}, { access: { tenantId: 't2' } }, { access: { labels: ['x'] } }, { control: { read: false } }, { control: { semantic: false } }].map((changes) => cache.through(callOf(HELLO, changes), produce));
    ready.open();
    await Promise.all(all);
    // The last one follows the first: without the semantic level there is nothing to refuse.
    expect(made).toBe(4);
  });

  it('are not shared by who keeps the answer for another time', async () => {
    const cache = makeCache();
    const produce = counting();
    await Promise.all([{}, { control: { ttlMs: 1_000 } }].map((changes) => cache.through(callOf(HELLO, changes), produce)));
    expect(produce.count()).toBe(2);
  });

  it('are not led by one whose answer may not be kept', async () => {
    const cache = makeCache();
    const produce = counting();
    const both = [{ control: { write: false } }, {}].map((changes) => cache.through(callOf(HELLO, changes), produce));
    expect((await Promise.all(both)).map(({ cache: outcome }) => outcome.state)).toEqual(['miss', 'miss']);
    expect((await cache.through(callOf(HELLO), produce)).cache.level).toBe('l1');
  });

  it('give everybody a fault of the request, and let others try where the fault was the leader\'s', async () => {
    const cache = makeCache();
    let made = 0;
    const failing = (code: 'model_rejected' | 'quota_exceeded'): Produce => async () => {
      made += 1;
      await Promise.resolve();
      if (code === 'model_rejected' || made === 1) throw new PlatformError(code, 'No.');
      return replyWith('yes');
    };
    const three = async (code: 'model_rejected' | 'quota_exceeded') => Promise.allSettled([1, 2, 3].map(() => cache.through(callOf(chatBody(code)), failing(code))));
    expect((await three('model_rejected')).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(made).toBe(1);
    made = 0;
    expect((await three('quota_exceeded')).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(made).toBe(2);
  });

  it('are tried by each alone after two failures of others', async () => {
    const cache = makeCache();
    let made = 0;
    let atOnce = 0;
    let mostAtOnce = 0;
    const produce: Produce = async () => {
      made += 1;
      mostAtOnce = Math.max(mostAtOnce, (atOnce += 1));
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      throw new PlatformError('model_unavailable', 'Down.');
    };
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => cache.through(callOf(HELLO), produce)));
    expect(all.every(({ status }) => status === 'rejected')).toBe(true);
    expect(made).toBe(10);
    expect(mostAtOnce).toBe(8);
    expect(cache.sizes().flights).toBe(0);
  });
});
