import { describe, expect, it } from 'vitest';
import type { Access } from '../access.ts';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import type { VllmLoad } from '../vllm/load.ts';
import { ACCESS, aBackend, aConfig, aFleet, answered, aRequest, failed, rejected } from './testing/a-fleet.ts';
import { seededRandom } from './testing/manual-time.ts';

const per1m = (input: number, output: number) => ({ input, cachedInput: input, output });
type Ask = Partial<Omit<ModelRequest, 'text'>> & { readonly prompt?: string };

function setUp(backends: readonly BackendConfig[], changes: Partial<GatewayConfig> = {}) {
  const fleet = aFleet(aConfig(backends, changes), { random: seededRandom(3) });
  const plan = (ask: Ask = {}, access: Partial<Access> = {}) => fleet.plan(aRequest(ask), { ...ACCESS, ...access }).backends.map(({ name }) => name);
  return { fleet, plan, first: (ask: Ask = {}) => plan(ask)[0] };
}

describe('a plan is made of', () => {
  it('the backend that was named and its fallbacks', () => {
    const { plan } = setUp([aBackend('a', { fallbacks: ['b'] }), aBackend('b'), aBackend('c')]);
    expect([plan({ model: 'a' }), plan({ model: 'c' }), plan()]).toEqual([['a', 'b'], ['c'], ['a', 'b']]);
  });

  it('says which of them are fallbacks, also when they come first, unless there is nobody else', async () => {
    const [a, b] = [aBackend('a', { fallbacks: ['b'] }), aBackend('b', { kinds: ['chat', 'embeddings'] })];
    const { fleet } = setUp([a, b]);
    const namesOf = (ask: Ask) => {
      const { backends, fallbacks } = fleet.plan(aRequest(ask), ACCESS);
      return [backends, fallbacks].map((each) => each.map(({ name }) => name));
    };
    expect(namesOf({ model: 'a' })).toEqual([['a', 'b'], ['b']]);
    await fleet.ask(a, failed(), 5);
    expect(namesOf({ model: 'a' })).toEqual([['b', 'a'], ['b']]);
    expect(namesOf({ model: 'a', kind: 'embeddings', body: { input: 'x' } })).toEqual([['b'], []]);
  });

  it('those that can do this kind of request', () => {
    const { plan } = setUp([aBackend('a', { fallbacks: ['e'] }), aBackend('e', { kinds: ['embeddings'] })]);
    expect(plan({ kind: 'embeddings', body: { input: 'x' } })).toEqual(['e']);
    expect(plan()).toEqual(['a']);
    expect(() => plan({ kind: 'rerank', model: 'a', body: {} })).toThrow(expect.objectContaining({ code: 'invalid_input', message: 'The model "a" cannot be asked for rerank. Name a backend that has "rerank" among its kinds.', details: { field: 'model', kind: 'rerank' } }));
  });
});

describe('a key with a list of models', () => {
  const backends = [
    aBackend('small', { model: 'qwen', capabilities: ['chat'], adapters: ['law'], fallbacks: ['rescue', 'spare'] }),
    aBackend('big', { model: 'gpt', capabilities: ['chat', 'code'] }),
    aBackend('rescue', { capabilities: ['emergency'] }),
    aBackend('spare', { capabilities: ['chat'] }),
  ];
  const { plan } = setUp(backends, { defaultBackend: 'small' });

  it.each([
    ['the name', ['small'], 'small', ['small']],
    ['the model, though the name is asked', ['qwen'], 'small', ['small']],
    ['the name, though the model is asked', ['big'], 'gpt', ['big']],
    ['the adapter', ['law'], 'law', ['small']],
    ['the capability, and fallbacks that have it', ['chat'], 'chat', ['big', 'small', 'spare']],
    ['a capability of one of the set that is asked', ['code'], 'chat', ['big']],
    ['a member of the set that is asked', ['gpt'], 'chat', ['big']],
    ['a member of all', ['gpt'], 'auto', ['big']],
    ['the default', ['default', 'rescue'], '', ['big', 'rescue', 'small', 'spare']],
    ['a fallback too', ['small', 'rescue'], 'small', ['rescue', 'small']],
  ] as const)('lets through: on it is %s', (_what, models, model, expected) => {
    expect(plan({ model }, { models }).toSorted()).toEqual(expected);
  });

  it.each([
    ['a name, where its capability is on the list', ['chat'], 'small'],
    ['an adapter, where its model is', ['qwen'], 'law'],
    ['a model, where its adapter is', ['law'], 'qwen'],
    ['everything, where nothing is', [], 'auto'],
    ['the default, where others are', ['rescue'], ''],
  ] as const)('does not let through %s', (_what, models, model) => {
    expect(() => plan({ model }, { models })).toThrow(expect.objectContaining({ code: 'permission_denied', details: { field: 'model', model: model === '' ? 'default' : model } }));
  });

  it('is told what it may use', () => {
    expect(() => plan({ model: 'big' }, { models: ['small', 'law'] })).toThrow('This key may not use the model "big". It may use: small, law.');
  });
});

describe('Confidential content', () => {
  const { plan } = setUp([aBackend('in', { fallbacks: ['out'] }), aBackend('out', { external: true, fallbacks: ['in'] }), aBackend('far', { external: true })]);

  it('stays inside, also when a fallback is outside, or the fallback is the only one inside', () => {
    expect(plan({ model: 'in' }, { sensitivity: 3 })).toEqual(['in']);
    expect(plan({ model: 'out' }, { sensitivity: 3 })).toEqual(['in']);
    expect(plan({ model: 'auto' }, { sensitivity: 3 })).toEqual(['in']);
    expect(plan({ model: 'in' }, { sensitivity: 2 })).toEqual(['in', 'out']);
  });

  it('is refused where everybody is outside', () => {
    expect(() => plan({ model: 'far' }, { sensitivity: 3 })).toThrow(expect.objectContaining({ code: 'policy_denied', details: { reason: 'confidential', model: 'far' } }));
    expect(plan({ model: 'far' })).toEqual(['far']);
  });
});

describe('a prompt that is long', () => {
  const { plan } = setUp([aBackend('a', { contextWindow: 1_000, fallbacks: ['b'] }), aBackend('b', { contextWindow: 8_000 }), aBackend('c')]);
  const chars = (tokens: number) => 'x'.repeat(tokens * 4);

  it('goes where there is room for it and its answer', () => {
    expect(plan({ model: 'a', prompt: chars(900) })).toEqual(['a', 'b']);
    expect(plan({ model: 'a', prompt: chars(900), maxTokens: 101 })).toEqual(['b']);
    expect(plan({ model: 'a', prompt: chars(1_100) })).toEqual(['b']);
    expect(plan({ model: 'c', prompt: chars(100_000) })).toEqual(['c']);
  });

  it('is not refused by an estimate that may be wrong by half', () => {
    expect(plan({ model: 'b', prompt: chars(15_000) })).toEqual(['b']);
  });

  it('is refused with the largest window, when it cannot fit', () => {
    expect(() => plan({ model: 'a', prompt: chars(20_000), maxTokens: 10 })).toThrow(
      expect.objectContaining({
        code: 'invalid_input',
        message: 'The prompt has about 20000 tokens and the answer may have 10; the largest context window of "a" is 8000 tokens. Shorten the messages, or ask for fewer tokens.',
        details: { field: 'messages', reason: 'context_length_exceeded', prompt_tokens: 20_000, context_window: 8_000 },
      }),
    );
    expect(() => plan({ model: 'b', maxTokens: 8_000 })).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  it('is not long because of an image', () => {
    const body = { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: chars(20_000) } }] }] };
    expect(plan({ model: 'a', body })).toEqual(['a', 'b']);
  });

  it('is as long as the longest of several that are embedded', () => {
    const { plan: planEmbedding } = setUp([aBackend('e', { kinds: ['embeddings'], contextWindow: 512 })]);
    expect(planEmbedding({ kind: 'embeddings', body: { input: Array.from({ length: 100 }, () => chars(500)) }, maxTokens: 0 })).toEqual(['e']);
    expect(() => planEmbedding({ kind: 'embeddings', body: { input: ['x', chars(2_000)] }, maxTokens: 0 })).toThrow(expect.objectContaining({ details: expect.objectContaining({ field: 'input' }) }));
  });
});

describe('cost_optimized', () => {
  it('takes what this request costs least at', () => {
    const { plan } = setUp([aBackend('reader', { capabilities: ['c'], prices: per1m(1, 20) }), aBackend('writer', { capabilities: ['c'], prices: per1m(10, 2) })]);
    expect(plan({ model: 'c', prompt: 'x'.repeat(4_000), maxTokens: 16 })).toEqual(['reader', 'writer']);
    expect(plan({ model: 'c', prompt: 'x', maxTokens: 400 })).toEqual(['writer', 'reader']);
    expect(plan({ model: 'c', prompt: 'x'.repeat(4_000), maxTokens: 16, choices: 100 })).toEqual(['writer', 'reader']);
  });

  it('gives simple requests to the small and others to the large, whatever they cost', () => {
    const sized = [aBackend('large', { capabilities: ['c'], size: 'large', prices: per1m(9, 9) }), aBackend('plain', { capabilities: ['c'], prices: per1m(1, 1) }), aBackend('small', { capabilities: ['c'], size: 'small', prices: per1m(2, 2) })];
    const { plan } = setUp(sized);
    const hard = { prompt: 'x'.repeat(4_000) };
    expect(plan({ model: 'c' })).toEqual(['small', 'plain', 'large']);
    expect(plan({ model: 'c', ...hard })).toEqual(['large', 'plain', 'small']);
    expect([plan()[0], plan(hard)[0], plan({ model: 'auto', ...hard })[0]]).toEqual(['small', 'large', 'large']);
    expect(plan({ model: 'small', ...hard })).toEqual(['small']);
    const { plan: planLatency } = setUp(sized, { routingStrategy: 'latency_optimized' });
    expect([planLatency({ model: 'c' })[0], planLatency({ model: 'c', ...hard })[0]]).toEqual(['small', 'large']);
  });

  it('shares what costs the same by weight', () => {
    const { first } = setUp([aBackend('three', { capabilities: ['c'], weight: 3 }), aBackend('one', { capabilities: ['c'] }), aBackend('none', { capabilities: ['c'], weight: 0 })]);
    const counts = { three: 0, one: 0, none: 0 };
    for (let made = 0; made < 4_000; made += 1) counts[first({ model: 'c' }) as keyof typeof counts] += 1;
    expect(counts.none).toBe(0);
    // Five standard deviations of a fair draw.
    expect(Math.abs(counts.three - 3_000)).toBeLessThan(137);
  });
});

describe('latency_optimized', () => {
  const backends = ['a', 'b', 'c'].map((name) => aBackend(name, { capabilities: ['x'] }));
  const [a, b, c] = backends as [BackendConfig, BackendConfig, BackendConfig];
  const share = (first: (ask: Ask) => string | undefined, name: string) => Array.from({ length: 2_000 }, () => first({ model: 'x' })).filter((each) => each === name).length / 2_000;

  it('takes the one that answers first, and asks the unknown one now and then', async () => {
    const { fleet, first, plan } = setUp(backends, { routingStrategy: 'latency_optimized' });
    await fleet.ask(a, answered(200));
    await fleet.ask(b, answered(50));
    expect(share(first, 'b')).toBeCloseTo(0.9, 1);
    expect(share(first, 'c')).toBeCloseTo(0.1, 1);
    await fleet.ask(c, answered(100));
    expect(plan({ model: 'x' })).toEqual(['b', 'c', 'a']);
  });

  it('forgets what it knew a minute ago', async () => {
    const { fleet, first } = setUp(backends, { routingStrategy: 'latency_optimized' });
    await fleet.ask(a, answered(200));
    await fleet.time.pass(50_000);
    await fleet.ask(b, answered(50));
    await fleet.ask(c, answered(50));
    expect(share(first, 'a')).toBe(0);
    await fleet.time.pass(20_000);
    expect(share(first, 'a')).toBeCloseTo(0.1, 1);
  });

  it('counts in who has much to do, here and by its own numbers', async () => {
    const busy = { running: 16, waiting: 0, kvCacheUsage: 0, atMs: 0 };
    let load: VllmLoad = busy;
    const fleet = aFleet(aConfig([a, b], { routingStrategy: 'latency_optimized' }), { readLoad: (endpoint) => (endpoint === 'http://a:8000' ? load : null) });
    await fleet.ask(a, answered(100));
    await fleet.ask(b, answered(130));
    const first = () => fleet.plan(aRequest({ model: 'x' }), ACCESS).backends[0]?.name;
    expect(first()).toBe('b');
    const places = await Promise.all(Array.from({ length: 16 }, () => fleet.at(b)));
    expect(first()).toBe('a');
    load = { ...busy, waiting: 40, kvCacheUsage: 0.97, atMs: 1 };
    expect(first()).toBe('b');
    places.forEach((place) => place.leave(answered(130)));
  });
});

describe('a backend that cannot answer now', () => {
  const backends = [aBackend('a', { fallbacks: ['b'], maxConcurrent: 1, maxQueue: 1 }), aBackend('b')];
  const [a] = backends as [BackendConfig, BackendConfig];

  it('comes last until its breaker wants to know, and then first for one request', async () => {
    const { fleet, plan } = setUp(backends);
    await fleet.ask(a, failed(), 5);
    expect(plan({ model: 'a' })).toEqual(['b', 'a']);
    await fleet.time.pass(12_000);
    expect([plan({ model: 'a' }), plan({ model: 'a' })]).toEqual([['a', 'b'], ['b', 'a']]);
    // The one that should have asked never came; another gets the chance.
    await fleet.time.pass(1_000);
    expect(plan({ model: 'a' })).toEqual(['a', 'b']);
    await fleet.ask(a, answered());
    expect([plan({ model: 'a' }), plan({ model: 'a' })]).toEqual([['a', 'b'], ['a', 'b']]);
  });

  it('comes last while its line is full', async () => {
    const { fleet, plan } = setUp(backends);
    const place = await fleet.at(a);
    const waiting = fleet.at(a);
    expect(plan({ model: 'a' })).toEqual(['b', 'a']);
    place.leave(answered());
    (await waiting).leave(answered());
    expect(plan({ model: 'a' })).toEqual(['a', 'b']);
  });

  it('comes last while it asks for a pause', async () => {
    const { fleet, plan } = setUp(backends);
    await fleet.ask(a, failed({ status: 429, retry_after_ms: 3_000 }));
    expect(plan({ model: 'a' })).toEqual(['b', 'a']);
    await fleet.time.pass(3_000);
    expect(plan({ model: 'a' })).toEqual(['a', 'b']);
  });

  it('comes last while it refuses everything: its quota is used up, or the key is wrong', async () => {
    const { fleet, plan } = setUp(backends);
    await fleet.ask(a, rejected(429), 4);
    await fleet.ask(a, rejected(400), 9);
    expect(plan({ model: 'a' })).toEqual(['a', 'b']);
    await fleet.ask(a, rejected(401));
    expect(plan({ model: 'a' })).toEqual(['b', 'a']);
    await fleet.time.pass(10_000);
    expect(plan({ model: 'a' })).toEqual(['a', 'b']);
  });
});
