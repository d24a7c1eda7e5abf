import { getEventListeners, setMaxListeners } from 'node:events';
import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { askInTurn } from '../ask-in-turn.ts';
import type { Backend } from '../backends/backend.ts';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { NO_EGRESS } from '../testing/make-gateway.ts';
import { ACCESS, aBackend, aConfig, aFleet, answered, aRequest, failed, NEVER } from './testing/a-fleet.ts';
import { seededRandom } from './testing/manual-time.ts';
import { simulate } from './testing/simulate.ts';
import type { Served } from './testing/simulate.ts';

const servers = (count: number) => Array.from({ length: count }, (_, at) => `http://s${at}:8000`);
const [S0 = '', S1 = ''] = servers(2);
const shareOf = (served: readonly Served[], endpoint: string) => served.filter((each) => each.endpoint === endpoint).length / Math.max(1, served.length);
const between = (served: readonly Served[], fromMs: number, toMs: number) => served.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function aPool(count: number, { seed = 1, routing, ...changes }: Partial<BackendConfig> & { readonly seed?: number; readonly routing?: Partial<GatewayConfig['routing']> } = {}) {
  const backend = aBackend('b', { endpoints: servers(count), ...changes });
  const config = aConfig([backend]);
  return { backend, fleet: aFleet({ ...config, routing: { ...config.routing, ...routing } }, { random: seededRandom(seed) }), random: seededRandom(seed + 100) };
}

describe('a slow server', () => {
  it('gets hardly anything, but is looked at again and comes back when it has recovered', async () => {
    const { backend, fleet, random } = aPool(4);
    const served = await simulate(fleet, { backend, random, requests: 8_000, everyMs: 10, server: ({ endpoint, atMs }) => answered(endpoint === S0 && atMs < 40_000 ? 800 : 40) });
    const slow = shareOf(between(served, 0, 40_000), S0);
    expect([slow > 0, slow < 0.02]).toEqual([true, true]);
    expect(shareOf(between(served, 75_000, 90_000), S0)).toBeGreaterThan(0.15);
  });

  it('that requests are bound to is put out for a while, and for longer when that did not help', async () => {
    const { backend, fleet, random } = aPool(4);
    const served = await simulate(fleet, {
      backend, random, requests: 600, everyMs: 300,
      // A new conversation every eight requests: too few at once for anybody to escape.
      request: (at) => conversation(at >> 3, 1),
      server: ({ endpoint, atMs }) => answered(endpoint === S0 && atMs < 60_000 ? 800 : 40),
    });
    const ejections = fleet.events.filter((event) => event.kind === 'ejected');
    expect(ejections).toMatchObject([{ endpoint: S0, reason: 'latency', forMs: 30_000 }, { endpoint: S0, reason: 'latency', forMs: 60_000 }]);
    const atS0 = served.filter(({ endpoint }) => endpoint === S0).map(({ atMs }) => atMs);
    const longestGapMs = Math.max(...atS0.slice(1).map((atMs, before) => atMs - (atS0[before] ?? 0)));
    expect(longestGapMs).toBeGreaterThan(60_000);
    expect(shareOf(between(served, 130_000, 180_000), S0)).toBeGreaterThan(0.1);
  });

  it('stays, where more than half would be out', async () => {
    const { backend, fleet, random } = aPool(3);
    const delays: Readonly<Record<string, number>> = { [S0]: 5_000, [S1]: 500 };
    await simulate(fleet, { backend, random, requests: 600, everyMs: 4_000, request: (at) => conversation(at >> 3, 1), server: ({ endpoint }) => answered(delays[endpoint] ?? 50) });
    const out = fleet.events.flatMap((event) => (event.kind === 'ejected' ? [event] : []));
    expect(out.length).toBeGreaterThan(3);
    // One of three is less than half; with two of three out, one would be left for all.
    for (const [at, next] of out.slice(1).entries()) expect(next.atMs).toBeGreaterThanOrEqual((out[at]?.atMs ?? 0) + (out[at]?.forMs ?? 0));
  });

  it('but not too slow gets the share that it can carry', async () => {
    const { backend, fleet, random } = aPool(2);
    const server = ({ endpoint, inFlight }: { readonly endpoint: string; readonly inFlight: number }) => answered((endpoint === S0 ? 50 : 100) * inFlight);
    const served = await simulate(fleet, { backend, random, requests: 3_000, everyMs: 60, server });
    expect(shareOf(served, S0)).toBeGreaterThan(0.6);
    expect(fleet.events.some(({ kind }) => kind === 'ejected')).toBe(false);
  });
});

describe('a server that breaks', () => {
  it('costs few requests, and is found when it is back', async () => {
    const { backend, fleet, random } = aPool(3);
    const isBroken = (atMs: number) => atMs >= 5_000 && atMs < 30_000;
    const served = await simulate(fleet, { backend, random, requests: 6_000, everyMs: 10, server: ({ endpoint, atMs }) => (endpoint === S0 && isBroken(atMs) ? failed() : answered(30)) });
    const lost = served.filter(({ error }) => error !== null);
    // Five that open it, those that were under way then, and a probe each time.
    expect(lost.length).toBeGreaterThanOrEqual(5);
    expect(lost.length).toBeLessThan(15);
    expect(fleet.events.filter((event) => event.kind === 'breaker' && event.endpoint === S0).map((event) => 'state' in event && event.state)).toEqual(['open', 'half_open', 'open', 'half_open', 'closed']);
    expect(shareOf(between(served, 45_000, 60_000), S0)).toBeGreaterThan(0.2);
  });

  it('now and then is put out for its errors', async () => {
    const { backend, fleet, random } = aPool(4);
    const errors = seededRandom(5);
    await simulate(fleet, { backend, random, requests: 2_000, everyMs: 10, server: ({ endpoint }) => (endpoint === S1 && errors() < 0.35 ? failed() : answered(30)) });
    expect(fleet.events).toContainEqual(expect.objectContaining({ kind: 'ejected', endpoint: S1, reason: 'errors' }));
  });
});

/** A system prompt of its own for each conversation, and a turn more each time. */
function conversation(id: number, turns: number): ModelRequest {
  const system = `You are assistant number ${id}. `.repeat(60);
  const said = Array.from({ length: turns }, (_, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: `Turn ${at} of ${id}. `.repeat(20) }));
  return aRequest({ body: { messages: [{ role: 'system', content: system }, ...said] } });
}

/** Servers with a cache of their own: a beginning that they have is read at once. */
function createCaches() {
  const seen = new Map<string, Set<string>>();
  let hits = 0;
  return {
    hits: () => hits,
    server: ({ endpoint, request }: { readonly endpoint: string; readonly request: ModelRequest }) => {
      const own = seen.get(endpoint) ?? new Set();
      seen.set(endpoint, own);
      const beginning = request.text.slice(0, 1_000);
      const isHit = own.has(beginning);
      own.add(beginning);
      if (isHit) hits += 1;
      return answered(isHit ? 20 : 200);
    },
  };
}

describe('requests with an equal beginning', () => {
  const CONVERSATIONS = 40;
  const run = async (enabled: boolean, everyMs: number) => {
    const affinity = { enabled, minPrefixChars: 512, maxImbalance: 4 };
    const { backend, fleet, random } = aPool(4, { routing: { affinity } });
    const caches = createCaches();
    const served = await simulate(fleet, { backend, random, requests: 1_200, everyMs, request: (at) => conversation(at % CONVERSATIONS, 1 + Math.floor(at / CONVERSATIONS)), server: caches.server });
    return { fleet, served, hitShare: caches.hits() / served.length };
  };

  it('go to the server that holds it', async () => {
    const [near, anywhere] = [await run(true, 40), await run(false, 40)];
    // Each of 40 is new once, of 1,200: 0.967 is all there is to have.
    expect(near.hitShare).toBeGreaterThan(0.95);
    expect(anywhere.hitShare).toBeLessThan(0.9);
    expect(mean(near.served.map(({ firstByteMs }) => firstByteMs ?? 0))).toBeLessThan(mean(anywhere.served.map(({ firstByteMs }) => firstByteMs ?? 0)));
    for (const endpoint of servers(4)) expect(shareOf(near.served, endpoint)).toBeGreaterThan(0.1);
  });

  it('still mostly do under load', async () => {
    const { fleet, hitShare } = await run(true, 4);
    expect(hitShare).toBeGreaterThan(0.85);
    expect(fleet.events.filter((event) => event.kind === 'affinity' && event.outcome === 'escaped').length).toBeGreaterThan(0);
  });

  it('go elsewhere when they are many at once, but not further than they must', async () => {
    const { backend, fleet, random } = aPool(4);
    const served = await simulate(fleet, { backend, random, requests: 800, everyMs: 5, request: () => conversation(1, 1), server: () => answered(100) });
    for (const { inFlight } of served) expect(Math.max(...inFlight.values()) - Math.min(...inFlight.values())).toBeLessThanOrEqual(4 + 1 + 1);
    for (const endpoint of servers(4)) expect(shareOf(served, endpoint)).toBeGreaterThan(0.15);
    expect(served.every(({ error }) => error === null)).toBe(true);
  });

  it('are placed by several gateways alike', async () => {
    const place = async (seed: number) => {
      const { backend, fleet } = aPool(4, { seed });
      const endpoints: string[] = [];
      for (let id = 0; id < 40; id += 1) {
        const got = await fleet.at(backend, { request: conversation(id, 1) });
        got.leave(answered());
        endpoints.push(got.endpoint);
      }
      return endpoints;
    };
    const [one, other] = [await place(1), await place(2)];
    expect(one).toEqual(other);
    expect(new Set(one).size).toBe(4);
  });

  it('leave a server whose cache is full while requests wait', async () => {
    const backend = aBackend('b', { endpoints: servers(2) });
    let full = '';
    const fleet = aFleet(aConfig([backend]), { readLoad: (endpoint) => ({ running: 1, waiting: endpoint === full ? 1 : 0, kvCacheUsage: endpoint === full ? 0.97 : 0.2, atMs: 0 }) });
    const request = conversation(1, 1);
    const ask = async () => {
      const place = await fleet.at(backend, { request });
      place.leave(answered());
      return place.endpoint;
    };
    const home = await ask();
    expect(await ask()).toBe(home);
    full = home;
    expect(await ask()).not.toBe(home);
  });
});

describe('ten thousand requests that come, wait, go away and are served at random', () => {
  it('leave nothing behind', async () => {
    const { backend, fleet } = aPool(3, { maxConcurrent: 4, maxQueue: 20 });
    const random = seededRandom(11);
    const shared = new AbortController();
    setMaxListeners(0, shared.signal);
    const ends = { served: 0, left: 0, refused: 0 };
    const one = async (): Promise<void> => {
      const own = new AbortController();
      const signal = random() < 0.5 ? own.signal : shared.signal;
      if (random() < 0.3) fleet.time.setTimer(() => own.abort(new PlatformError('cancelled', 'left')), random() * 40);
      try {
        const place = await fleet.at(backend, { signal, withinMs: 10 + random() * 200, access: { priority: Math.floor(random() * 3) }, request: random() < 0.2 ? conversation(Math.floor(random() * 9), 1) : aRequest() });
        ends.served += 1;
        fleet.time.setTimer(() => place.leave(random() < 0.1 ? failed(random() < 0.3 ? { status: 429, retry_after_ms: 20 } : {}) : answered(random() * 50)), random() * 60);
      } catch (thrown) {
        if (!(thrown instanceof PlatformError)) throw thrown;
        ends[thrown.code === 'cancelled' ? 'left' : 'refused'] += 1;
      }
    };
    const all: Promise<void>[] = [];
    for (let made = 0; made < 10_000; made += 1) {
      all.push(one());
      if (made % 4 === 0) await fleet.time.pass(random() * 12);
      const [health] = fleet.health();
      expect(health?.inFlight).toBeLessThanOrEqual(12);
      expect(health?.queued).toBeLessThanOrEqual(20);
    }
    while (fleet.time.pending() > 0) await fleet.time.pass(100);
    await Promise.all(all);
    expect(fleet.health()[0]).toMatchObject({ inFlight: 0, queued: 0 });
    for (const [end, count] of Object.entries(ends)) expect([end, count > 100]).toEqual([end, true]);
    expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0);
    await fleet.time.pass(120_000);
    const free = await Promise.all(Array.from({ length: 12 }, () => fleet.at(backend, { signal: NEVER })));
    expect(free).toHaveLength(12);
  });
});

describe('a total outage', () => {
  it('is met by hardly more tries than there are requests, however often each would be tried', async () => {
    const limits = { endpoints: servers(6), maxAttempts: 5 };
    const backends = [aBackend('a', { ...limits, fallbacks: ['b'] }), aBackend('b', { ...limits, fallbacks: ['c'] }), aBackend('c', limits)];
    const config = aConfig(backends);
    const fleet = aFleet({ ...config, routing: { ...config.routing, retryBudget: { percent: 20, minPerSecond: 5 } } });
    let tries = 0;
    let lost = 0;
    // Too many requests everywhere: that keeps the breakers out of it, and each try has another server to go to at once.
    const away: Backend = {
      ask: async () => {
        tries += 1;
        throw new PlatformError('model_unavailable', 'no', { details: { status: 429 } });
      },
      close: async () => undefined,
    };
    const deps = { fleet, backendOf: () => away, guard: NO_EGRESS, auditEgress: async () => undefined, now: fleet.time.now, random: seededRandom(2) };
    const request = aRequest({ model: 'a' });
    const asked = new Set<string>();
    const turns = { request, access: ACCESS, signal: NEVER, maxTokens: null, onChunk: () => null, retake: null, reserveAt: () => () => undefined, onBackend: ({ name }: BackendConfig) => void asked.add(name), onFirstByte: () => undefined, onUsage: () => undefined };
    const REQUESTS = 20_000;
    for (let made = 0; made < REQUESTS; made += 1) {
      await askInTurn(deps, { ...turns, plan: fleet.plan(request, ACCESS), deadlineMs: fleet.time.now() + 30_000 }).catch(() => (lost += 1));
      await fleet.time.pass(5);
    }
    expect(lost).toBe(REQUESTS);
    // 200 a second: a fifth more at each backend, and five a second at each of the three.
    expect([...asked]).toEqual(['a', 'b', 'c']);
    expect(tries / REQUESTS).toBeGreaterThan(1.15);
    expect(tries / REQUESTS).toBeLessThan(1.2 + (3 * 5 * 1.25) / 200 + 0.02);
  });
});
