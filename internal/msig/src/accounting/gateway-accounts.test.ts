import { afterEach, describe, expect, test } from 'vitest';
import { PlatformError } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { LimitConfig } from '../config/gateway-config.ts';
import type { RoutedFacts } from '../gateway.ts';
import { parseRequest } from '../request/parse-request.ts';
import { backendAt, configOf, makeGateway } from '../testing/make-gateway.ts';
import { delta, hang, json, startOpenAiServer, stream, usageChunk } from '../testing/openai-server.ts';
import type { Behaviour } from '../testing/openai-server.ts';
import { createAccountant } from './create-accountant.ts';
import type { UsageRow } from './ledger.ts';
import { createMemoryCounters } from '../testing/memory-counters.ts';
import type { SharedCounters } from './shared-counters.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const ACCESS: Access = { tenantId: 't', runId: '', stepId: '', agentId: '', userId: 'alice', traceId: '', keyId: 'k1' };
const PRICES = { input: 0.02, cachedInput: 0.01, output: 0.04 };
const limit = (over: Partial<LimitConfig>): LimitConfig => ({ per: 'user', name: null, requestsPerMinute: null, tokensPerMinute: null, tokensPerDay: null, usdPerDay: null, usdPerMonth: null, ...over });
const ANSWER = { id: 'c', object: 'chat.completion', created: 1, model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10, prompt_tokens_details: { cached_tokens: 5 } } };

/** A real gateway before a real server, with the real accounts in memory. */
async function open({ limits, behaviour = json(ANSWER), counters }: { readonly limits: readonly LimitConfig[]; readonly behaviour?: Behaviour; readonly counters?: SharedCounters }) {
  const server = await startOpenAiServer(behaviour);
  const rows: UsageRow[] = [];
  const accountant = createAccountant({ limits: () => limits, counters: counters ?? createMemoryCounters({ now: () => Date.UTC(2026, 10, 24, 12) }), writeUsage: async (_batch, written) => void rows.push(...written), newId: () => 'b', onError: () => undefined });
  const gateway = makeGateway(configOf(backendAt(server.url, { prices: PRICES })), { accountant });
  closers.push(server.close, gateway.close);
  const ask = (fields: object = {}, over: { readonly signal?: AbortSignal; readonly onRouted?: (facts: RoutedFacts) => void } = {}) =>
    gateway.ask(parseRequest('chat', JSON.stringify({ model: '', messages: [{ role: 'user', content: 'q' }], ...fields })), { signal: new AbortController().signal, access: ACCESS, onChunk: () => null, ...over });
  return { server, gateway, ask, rows };
}

describe('a gateway with limits', () => {
  test('asks no server for what does not fit, and counts what the server counted', async () => {
    const { server, ask } = await open({ limits: [limit({ tokensPerMinute: 200 })] });
    await expect(ask({ max_tokens: 500 })).rejects.toMatchObject({ code: 'quota_exceeded', details: { reason: 'rate_limited', limit: 'user.tokens_per_minute' } });
    expect(server.requests).toHaveLength(0);
    const routed: RoutedFacts[] = [];
    for (let calls = 0; calls < 10; calls += 1) await ask({ max_tokens: 90 }, { onRouted: (facts) => routed.push(facts) });
    expect(routed[9]?.headers).toMatchObject({ 'x-ratelimit-limit-tokens': '200' });
    await expect(ask({ max_tokens: 101 })).rejects.toMatchObject({ code: 'quota_exceeded' });
  });

  test('writes down what each call cost, to the nano-dollar', async () => {
    const { gateway, ask, rows } = await open({ limits: [] });
    await ask();
    await ask();
    await gateway.close();
    // 2 fresh tokens at 0.02, 5 cached at 0.01, 3 written at 0.04 micro-dollars, twice.
    expect(rows).toMatchObject([{ tenantId: 't', userId: 'alice', keyId: 'k1', model: 'served', calls: 2, failed: 0, promptTokens: 14, cachedTokens: 10, completionTokens: 6, costUsdNanos: 420, estimated: 0 }]);
  });

  test('a budget of which tiny calls take a little comes to its end', async () => {
    // Enough for the reservation of one call beside what three have used.
    const { server, ask } = await open({ limits: [limit({ per: 'tenant', usdPerDay: 0.000_001_2 })] });
    let passed = 0;
    for (; passed < 20; passed += 1) {
      const refused = await ask({ max_tokens: 10 }).then(() => null, (thrown: unknown) => thrown);
      if (refused === null) continue;
      expect(refused).toMatchObject({ details: { reason: 'budget_exhausted' } });
      break;
    }
    expect(passed).toBeGreaterThan(1);
    expect(passed).toBeLessThan(7);
    expect(server.requests).toHaveLength(passed);
  });

  test('a stream is settled by the usage in its last chunk', async () => {
    const { gateway, ask, rows } = await open({ limits: [limit({ tokensPerMinute: 1_000 })], behaviour: stream(delta({ role: 'assistant', content: 'hi' }), delta({}, 'stop'), usageChunk(20, 5)) });
    await ask({ stream: true, max_tokens: 900 });
    await ask({ stream: true, max_tokens: 900 });
    await gateway.close();
    expect(rows).toMatchObject([{ calls: 2, promptTokens: 40, completionTokens: 10 }]);
  });

  test('a client that leaves gives back what was not used', async () => {
    const { server, ask } = await open({ limits: [limit({ tokensPerMinute: 1_000 })], behaviour: hang });
    const leaving = new AbortController();
    const asked = ask({ max_tokens: 900 }, { signal: leaving.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    leaving.abort(new PlatformError('cancelled', 'gone'));
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    server.behave(json(ANSWER));
    await expect.poll(() => ask({ max_tokens: 900 }).then(() => 'granted', () => 'refused')).toBe('granted');
  });

  test('counters that are away let nothing pass, and no server is asked', async () => {
    const away: SharedCounters = { take: async () => Promise.reject(new PlatformError('unavailable', 'away')), give: async () => undefined };
    const { server, ask } = await open({ limits: [limit({ requestsPerMinute: 5 })], counters: away });
    await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.requests).toHaveLength(0);
  });

  test('a limit of a backend holds where it is a fallback, is settled with what it used itself, and leaves room for the next', async () => {
    const [away, dear, spare] = [await startOpenAiServer(json({}, 500)), await startOpenAiServer(json(ANSWER)), await startOpenAiServer(json({ ...ANSWER, model: 'spare' }))];
    const counters = createMemoryCounters({ now: () => Date.UTC(2026, 10, 24, 12) });
    const limits = [limit({ per: 'model', name: 'dear', requestsPerMinute: 2, tokensPerMinute: 2_000 })];
    const accountant = createAccountant({ limits: () => limits, counters, writeUsage: async () => undefined, newId: () => 'b', onError: () => undefined });
    const of = (name: string, url: string, fallbacks: readonly string[] = []) => backendAt(url, { name, model: name, capabilities: [], maxAttempts: 1, fallbacks });
    const gateway = makeGateway(configOf(of('away', away.url, ['dear', 'spare']), of('dear', dear.url), of('spare', spare.url)), { accountant });
    closers.push(away.close, dear.close, spare.close, gateway.close);
    const ask = async (model: string) => (await gateway.ask(parseRequest('chat', JSON.stringify({ model, max_tokens: 900, messages: [{ role: 'user', content: 'q' }] })), { signal: new AbortController().signal, access: ACCESS, onChunk: () => null })).backend;
    // Each reserves some 900 tokens and uses 10: a third would fit by tokens, and does not by requests.
    expect([await ask('away'), await ask('away'), await ask('away')]).toEqual(['dear', 'dear', 'spare']);
    await expect(ask('dear')).rejects.toMatchObject({ code: 'quota_exceeded', details: { limit: 'model.requests_per_minute' } });
    expect(dear.requests).toHaveLength(2);
  });
});
