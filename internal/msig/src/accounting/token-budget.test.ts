import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createTokenBudget } from './token-budget.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
/** Lets everything that is ready go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a budget of tokens', () => {
  it('grants what is left and then no more', async () => {
    const budget = createTokenBudget(100);
    const first = await budget.reserve({ wanted: 70, least: 1 }, never);
    first.settle(60);
    const second = await budget.reserve({ wanted: 70, least: 1 }, never);
    expect([first.tokens, second.tokens]).toEqual([70, 40]);
    second.settle(40);
    await expect(budget.reserve({ wanted: 1, least: 1 }, never)).rejects.toMatchObject({ code: 'quota_exceeded', details: { max_tokens: 100, left: 0 } });
  });

  it('has a call wait for what others may give back, in the order of arrival', async () => {
    const budget = createTokenBudget(100);
    const order: string[] = [];
    const all = await budget.reserve({ wanted: null, least: 1 }, never);
    const big = budget.reserve({ wanted: 80, least: 1 }, never).then((grant) => (order.push(`big ${grant.tokens}`), grant));
    const small = budget.reserve({ wanted: 10, least: 1 }, never).then((grant) => (order.push(`small ${grant.tokens}`), grant));
    await settled();
    expect([all.tokens, order]).toEqual([100, []]);
    all.settle(15);
    await big;
    await settled();
    // 85 are left: 80 for the first; 5 are free, and the second waits for more.
    expect(order).toEqual(['big 80']);
    (await big).settle(80);
    expect((await small).tokens).toBe(5);
  });

  it('never lets the sum exceed it, however many calls there are at once', async () => {
    const budget = createTokenBudget(1_000);
    let used = 0;
    let held = 0;
    let refused = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, call) => {
        const grant = await budget.reserve({ wanted: 30 + (call % 7) * 20, least: 1 }, never).catch(() => null);
        if (grant === null || grant.tokens === null) return void (refused += 1);
        held += grant.tokens;
        expect(used + held).toBeLessThanOrEqual(1_000);
        await settled();
        held -= grant.tokens;
        const spent = Math.max(1, grant.tokens - (call % 3) * 10);
        used += spent;
        grant.settle(spent);
      }),
    );
    expect(used).toBe(1_000);
    expect(refused).toBeGreaterThan(0);
  });

  it('refuses a call whose choices cannot have a token each', async () => {
    const budget = createTokenBudget(3);
    await expect(budget.reserve({ wanted: 400, least: 4 }, never)).rejects.toMatchObject({ code: 'quota_exceeded', message: expect.stringContaining('3 are left') });
  });

  it('forgets a call that left while it waited, and serves those behind it', async () => {
    const budget = createTokenBudget(10);
    const all = await budget.reserve({ wanted: null, least: 1 }, never);
    const controller = new AbortController();
    const leaving = budget.reserve({ wanted: 10, least: 1 }, controller.signal);
    const staying = budget.reserve({ wanted: 4, least: 1 }, never);
    const reason = new Error('gone');
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    all.settle(6);
    expect((await staying).tokens).toBe(4);
  });

  it('counts a call once, and what a server wrote beyond its limit against the next one', async () => {
    const budget = createTokenBudget(10);
    const grant = await budget.reserve({ wanted: 5, least: 1 }, never);
    grant.settle(25);
    grant.settle(0);
    await expect(budget.reserve({ wanted: 1, least: 1 }, never)).rejects.toMatchObject({ code: 'quota_exceeded' });
  });

  it('of 0 has no limit', async () => {
    expect((await createTokenBudget(0).reserve({ wanted: 5, least: 1 }, never)).tokens).toBeNull();
  });
});
