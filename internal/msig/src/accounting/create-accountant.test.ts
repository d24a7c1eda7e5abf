import { afterEach, describe, expect, test, vi } from 'vitest';
import { NO_MODEL_LIMITS, PlatformError } from '@openeaap/kernel';
import type { LimitConfig } from '../config/gateway-config.ts';
import type { Accountant, MeteredAccess } from './accountant.ts';
import { createAccountant } from './create-accountant.ts';
import type { AccountantDeps } from './create-accountant.ts';
import { createMemoryCounters } from '../testing/memory-counters.ts';
import type { SharedCounters } from './shared-counters.ts';

const START_MS = Date.UTC(2026, 10, 24, 12, 0, 0);
const NO_LIMIT = { name: null, requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: null, usdPerDay: null, usdPerMonth: null } as const;

const limit = (per: LimitConfig['per'], over: Partial<LimitConfig>): LimitConfig => ({ ...NO_LIMIT, per, ...over });

const access = (over: Partial<MeteredAccess> = {}): MeteredAccess => ({ tenantId: 't', runId: '', stepId: '', agentId: '', userId: 'alice', traceId: '', keyId: 'k1', ...over });

let open: Accountant[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.map((accountant) => accountant.close()));
  open = [];
});

type Asked = { readonly access?: Partial<MeteredAccess>; readonly tokens?: number; readonly costUsdNanos?: number };

function account(limits: readonly LimitConfig[], over: Partial<AccountantDeps> = {}) {
  const clock = { nowMs: START_MS };
  const errors: unknown[] = [];
  const counters = createMemoryCounters({ now: () => clock.nowMs });
  const accountant = createAccountant({ limits: () => limits, counters, writeUsage: async () => undefined, newId: () => 'b', onError: (error) => errors.push(error), ...over });
  open.push(accountant);
  const ask = (more: Asked = {}) => accountant.reserve({ tokens: 10, costUsdNanos: 0, ...more, access: access(more.access) });
  const reserve = async (more: Asked = {}) => ask(more);
  const reserveBackend = async (backend: string, more: Asked = {}) => accountant.reserveBackend(backend, { tokens: 10, costUsdNanos: 0, ...more, access: access(more.access) });
  const settled = async (): Promise<void> => void (await new Promise((resolve) => setImmediate(resolve)));
  return { accountant, ask, reserve, reserveBackend, clock, errors, settled };
}

const spent = (tokens: number, costUsdNanos = 0) => ({ promptTokens: tokens, completionTokens: 0, costUsdNanos });

describe('limits', () => {
  test('without one that holds, all requests share one answer', async () => {
    const { ask } = account([limit('user', { name: 'bob', requestsPerMinute: 1 }), limit('key', { requestsPerMinute: 1 })]);
    const free = ask({ access: { keyId: '' } });
    expect(ask({ access: { keyId: '' } })).toBe(free);
    const held = await free;
    expect(held.headers).toEqual({});
    expect(() => held.settle(spent(5))).not.toThrow();
  });

  test.each([
    ['key', { keyId: 'k2' }],
    ['user', { userId: 'bob' }],
    ['tenant', { tenantId: 'other' }],
  ] as const)('one per %s holds for each of them by itself', async (per, another) => {
    const { reserve } = account([limit(per, { requestsPerMinute: 1 })]);
    await reserve();
    await expect(reserve()).rejects.toMatchObject({ code: 'quota_exceeded', details: { reason: 'rate_limited', limit: `${per}.requests_per_minute` } });
    await reserve({ access: another });
  });

  test('one per model holds for each backend that is asked, whoever asks, and for nothing else; a name narrows it', async () => {
    const { reserve, reserveBackend } = account([limit('model', { name: 'dear', requestsPerMinute: 1 })]);
    await reserveBackend('dear');
    await expect(reserveBackend('dear', { access: { userId: 'bob', keyId: 'k2' } })).rejects.toMatchObject({ details: { limit: 'model.requests_per_minute' } });
    await reserveBackend('local');
    await reserveBackend('local');
    await reserve();
    await reserve();
  });

  test('one per model is settled with what this backend used, and with nothing of another', async () => {
    const { reserveBackend, settled } = account([limit('model', { tokensPerMinute: 100 })]);
    const [first, fallback] = [await reserveBackend('b1', { tokens: 60 }), await reserveBackend('b2', { tokens: 60 })];
    first.settle(spent(0));
    fallback.settle(spent(90));
    await settled();
    await reserveBackend('b1', { tokens: 100 });
    await expect(reserveBackend('b2', { tokens: 11 })).rejects.toMatchObject({ details: { reason: 'rate_limited', limit: 'model.tokens_per_minute' } });
  });

  test('one for a key by its name or by its id holds for that key alone', async () => {
    const { reserve } = account([limit('key', { name: 'ci-reviewer', requestsPerMinute: 1 }), limit('key', { name: 'k2', requestsPerMinute: 2 })]);
    const named = { access: { keyId: 'k1', keyName: 'ci-reviewer' } };
    await reserve(named);
    await expect(reserve(named)).rejects.toMatchObject({ details: { limit: 'key.requests_per_minute' } });
    for (let calls = 0; calls < 2; calls += 1) await reserve({ access: { keyId: 'k2', keyName: 'other' } });
    await expect(reserve({ access: { keyId: 'k2', keyName: 'other' } })).rejects.toMatchObject({ code: 'quota_exceeded' });
    for (let calls = 0; calls < 3; calls += 1) await reserve({ access: { keyId: 'k3', keyName: 'third' } });
  });

  test('of several that are used up the one that holds up longest is named, with its wait', async () => {
    const { reserve } = account([limit('user', { requestsPerMinute: 1, tokensPerMinute: 10, tokensPerDay: 10 })]);
    await reserve({ tokens: 10 });
    await expect(reserve({ tokens: 10 })).rejects.toMatchObject({ details: { limit: 'user.tokens_per_day', retry_after_ms: 12 * 3_600_000 } });
    const own = { keyId: 'k9', userId: 'carol', limits: { ...NO_MODEL_LIMITS, usdTotal: 0.000_001 } };
    await reserve({ access: own, tokens: 10, costUsdNanos: 1_000 });
    const refused = await reserve({ access: own, tokens: 10, costUsdNanos: 1_000 }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ details: { limit: 'key.usd_total', reason: 'budget_exhausted' } });
    expect((refused as PlatformError).details).not.toHaveProperty('retry_after_ms');
  });

  test('the key’s own limit and the configured one count together, and the tighter one holds', async () => {
    const { reserve } = account([limit('key', { requestsPerMinute: 3 })]);
    const own = { limits: { ...NO_MODEL_LIMITS, requestsPerMinute: 2 } };
    await reserve({ access: own });
    await reserve({ access: own });
    await expect(reserve({ access: own })).rejects.toMatchObject({ code: 'quota_exceeded' });
    await reserve();
    await expect(reserve()).rejects.toMatchObject({ code: 'quota_exceeded' });
  });

  test('what does not fit says how long to wait, and then it fits', async () => {
    const { reserve, clock } = account([limit('user', { tokensPerMinute: 100 })]);
    await reserve({ tokens: 80 });
    clock.nowMs += 15_000;
    const refused = await reserve({ tokens: 30 }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ message: 'The limit of this user is 100 tokens a minute; 80 tokens are used or reserved, and this request may need 30 tokens. Try again in 53 s or ask for fewer max_tokens.' });
    const waitMs = Number((refused as PlatformError).details['retry_after_ms']);
    clock.nowMs += waitMs - 2;
    await expect(reserve({ tokens: 30 })).rejects.toMatchObject({ code: 'quota_exceeded' });
    clock.nowMs += 2;
    await reserve({ tokens: 30 });
  });

  test('what can never fit says so, and that waiting does not help', async () => {
    const { reserve } = account([limit('user', { tokensPerMinute: 100 })]);
    const refused = await reserve({ tokens: 101 }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: 'quota_exceeded', message: expect.stringContaining('It can never pass') });
    expect((refused as PlatformError).details).not.toHaveProperty('retry_after_ms');
  });

  test('all or none: what one limit refuses takes nothing from the others', async () => {
    const { reserve } = account([limit('user', { requestsPerMinute: 2 }), limit('key', { tokensPerMinute: 100 })]);
    for (let tries = 0; tries < 5; tries += 1) await expect(reserve({ tokens: 200 })).rejects.toMatchObject({ details: { limit: 'key.tokens_per_minute' } });
    await reserve();
    await reserve();
  });

  test('the headers are those of the tightest limit, and of requests and tokens alone', async () => {
    const { reserve } = account([limit('user', { requestsPerMinute: 60, tokensPerMinute: 1_000, usdPerDay: 1 }), limit('tenant', { tokensPerDay: 2_000 })]);
    const { headers } = await reserve({ tokens: 400, costUsdNanos: 10_000 });
    expect(headers).toEqual({
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '2m0s',
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '600',
      'x-ratelimit-reset-tokens': '2m0s',
    });
    expect((await reserve({ access: { userId: '' }, tokens: 500 })).headers).toMatchObject({ 'x-ratelimit-limit-tokens': '2000', 'x-ratelimit-remaining-tokens': '1100', 'x-ratelimit-reset-tokens': '12h0m0s' });
  });

  test('another list holds from the next request on, and goes on with what was counted', async () => {
    let limits = [limit('user', { requestsPerMinute: 5 })];
    const { reserve } = account([], { limits: () => limits });
    await reserve();
    await reserve();
    limits = [limit('user', { requestsPerMinute: 2 })];
    await expect(reserve()).rejects.toMatchObject({ code: 'quota_exceeded' });
    limits = [];
    await reserve();
  });

  test('a subject of any length and any letters is a counter of its own', async () => {
    const { reserve } = account([limit('user', { requestsPerMinute: 1 })]);
    for (const userId of ['a/requests/minute', 'a', '用户'.repeat(100), `${'用户'.repeat(100)}x`, 'a:b', '\ud800']) {
      await reserve({ access: { userId } });
      await expect(reserve({ access: { userId } })).rejects.toMatchObject({ code: 'quota_exceeded' });
    }
  });
});

describe('after the call', () => {
  test('what was not used is free again; only the first settle counts', async () => {
    const { reserve, settled } = account([limit('user', { tokensPerMinute: 100 })]);
    const held = await reserve({ tokens: 100 });
    held.settle(spent(30));
    held.settle(spent(0));
    await settled();
    await expect(reserve({ tokens: 71 })).rejects.toMatchObject({ code: 'quota_exceeded' });
    await reserve({ tokens: 70 });
  });

  test('what was used beyond the reservation is taken, and the next is refused', async () => {
    const { reserve, settled } = account([limit('user', { tokensPerMinute: 100 })]);
    (await reserve({ tokens: 10 })).settle(spent(130));
    await settled();
    await expect(reserve({ tokens: 1 })).rejects.toMatchObject({ details: { reason: 'rate_limited' } });
  });

  test('usage that is told later is taken on top, each time, and is no request', async () => {
    const { reserve, settled } = account([limit('user', { requestsPerMinute: 2, tokensPerMinute: 100, usdPerDay: 1 })]);
    const held = await reserve({ tokens: 50 });
    held.settle(spent(0));
    held.charge(spent(30, 400_000_000));
    held.charge(spent(30, 400_000_000));
    await settled();
    await expect(reserve({ tokens: 41 })).rejects.toMatchObject({ details: { limit: 'user.tokens_per_minute' } });
    await expect(reserve({ costUsdNanos: 200_000_001 })).rejects.toMatchObject({ details: { limit: 'user.usd_per_day' } });
    await reserve({ tokens: 40, costUsdNanos: 200_000_000 });
  });

  test('a request that failed still was a request', async () => {
    const { reserve, settled } = account([limit('user', { requestsPerMinute: 1 })]);
    (await reserve()).settle(spent(0));
    await settled();
    await expect(reserve()).rejects.toMatchObject({ code: 'quota_exceeded' });
  });

  test('a budget counts to the nano-dollar, and refuses what might go beyond it until its window ends', async () => {
    const { reserve, settled, clock } = account([limit('tenant', { usdPerMonth: 0.000_001 })]);
    for (let calls = 0; calls < 5; calls += 1) {
      (await reserve({ costUsdNanos: 200 })).settle(spent(10, 200));
      await settled();
    }
    const refused = await reserve({ costUsdNanos: 200 }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: 'quota_exceeded', details: { reason: 'budget_exhausted', limit: 'tenant.usd_per_month', retry_after_ms: Date.UTC(2026, 11, 1) - START_MS } });
    expect(refused).toMatchObject({ message: expect.stringContaining('USD 0.0000010 a month (UTC); USD 0.0000010 is used or reserved') });
    // What costs nothing needs no budget.
    await reserve({ costUsdNanos: 0 });
    clock.nowMs = Date.UTC(2026, 11, 1);
    await reserve({ costUsdNanos: 200 });
  });

  test('a fallback that costs what the first choice does not is charged for', async () => {
    const { reserve, settled } = account([limit('tenant', { usdPerDay: 1 })]);
    (await reserve({ costUsdNanos: 0 })).settle(spent(10, 1_500_000_000));
    await settled();
    await expect(reserve({ costUsdNanos: 1_000 })).rejects.toMatchObject({ details: { reason: 'budget_exhausted' } });
    (await reserve({ costUsdNanos: 0 })).settle(spent(10));
  });

  test('a budget for life has no next window', async () => {
    const { reserve, clock } = account([]);
    const own = { limits: { ...NO_MODEL_LIMITS, usdTotal: 1 } };
    await reserve({ access: own, costUsdNanos: 1_000_000_000 });
    clock.nowMs = Date.UTC(2030, 0, 1);
    const refused = await reserve({ access: own, costUsdNanos: 1_000 }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ details: { reason: 'budget_exhausted', limit: 'key.usd_total' }, message: expect.stringContaining('An administrator can raise it.') });
    expect((refused as PlatformError).details).not.toHaveProperty('retry_after_ms');
  });
});

describe('counters that are away', () => {
  const away = new PlatformError('unavailable', 'away');
  const broken = (over: Partial<SharedCounters>): SharedCounters => ({ take: async () => Promise.reject(away), give: async () => Promise.reject(away), ...over });

  test('let nothing pass that they would have to check, and all else', async () => {
    const { reserve } = account([limit('key', { requestsPerMinute: 1 })], { counters: broken({}) });
    await expect(reserve()).rejects.toMatchObject({ code: 'unavailable' });
    await reserve({ access: { keyId: '' } });
  });

  test('that answer too late refuse, and what they took after all is given back', async () => {
    let answer: (value: Awaited<ReturnType<SharedCounters['take']>>) => void = () => undefined;
    const given: unknown[] = [];
    const counters: SharedCounters = { take: () => new Promise((resolve) => (answer = resolve)), give: async (_tenant, items) => void given.push(...items) };
    const { reserve, settled } = account([limit('user', { requestsPerMinute: 1, tokensPerMinute: 50 })], { counters, takeTimeoutMs: 5 });
    await expect(reserve()).rejects.toMatchObject({ code: 'unavailable', details: { retry_after_ms: 1_000 } });
    answer({ kind: 'granted', nowMs: START_MS, states: [{ bucket: 7, used: 1, before: 0 }, { bucket: 7, used: 10, before: 0 }] });
    await settled();
    expect(given).toEqual([{ counter: 'user:alice/requests/minute', window: 'minute', bucket: 7, amount: 1 }, { counter: 'user:alice/tokens/minute', window: 'minute', bucket: 7, amount: 10 }]);
  });

  test('corrections that were never sent wait for the store, and are made once it is back', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const memory = createMemoryCounters({ now: () => START_MS });
    let isAway = true;
    const counters = broken({ take: memory.take, give: async (...given) => (isAway ? Promise.reject(new PlatformError('unavailable', 'away', { details: { sent: false } })) : memory.give(...given)) });
    const { reserve, settled, errors } = account([limit('user', { tokensPerMinute: 100 })], { counters });
    (await reserve({ tokens: 100 })).settle(spent(30));
    await settled();
    await expect(reserve({ tokens: 70 })).rejects.toMatchObject({ code: 'quota_exceeded' });
    isAway = false;
    await vi.advanceTimersByTimeAsync(500);
    await settled();
    await reserve({ tokens: 70 });
    expect(errors).toEqual([]);
  });

  test('corrections that fail are told, not repeated, and hold nobody up', async () => {
    const memory = createMemoryCounters({ now: () => START_MS });
    let tries = 0;
    const counters = broken({ take: memory.take, give: async () => Promise.reject(((tries += 1), away)) });
    const { reserve, settled, errors } = account([limit('user', { tokensPerMinute: 100 })], { counters });
    const held = [await reserve({ tokens: 20 }), await reserve({ tokens: 20 })];
    for (const each of held) each.settle(spent(1));
    await settled();
    expect({ errors, tries }).toEqual({ errors: [away], tries: 1 });
    await reserve({ tokens: 60 });
  });
});
