import { afterEach, describe, expect, it } from 'vitest';
import { createAnswerCache } from '../cache/create-answer-cache.ts';
import { CONFIG_DEFAULTS } from '../config/config.ts';
import type { GatewayConfig } from '../config/gateway-config.ts';
import type { GatewayDeps } from '../gateway.ts';
import { parseRequest } from '../request/parse-request.ts';
import { ACCESS, backendAt, configOf, makeGateway } from '../testing/make-gateway.ts';
import { json, startOpenAiServer } from '../testing/openai-server.ts';
import type { Behaviour, OpenAiServer } from '../testing/openai-server.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...behaviours: readonly Behaviour[]): Promise<OpenAiServer> {
  const server = await startOpenAiServer(...behaviours);
  closers.push(server.close);
  return server;
}

const ANSWER = { id: 'c', object: 'chat.completion', created: 1, model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } };

function open(config: GatewayConfig, deps: Partial<GatewayDeps> = {}) {
  const gateway = makeGateway(config, deps);
  closers.push(gateway.close);
  const ask = (text: string, model = '') =>
    gateway.ask(parseRequest('chat', JSON.stringify({ model, messages: [{ role: 'user', content: text }] })), { signal: new AbortController().signal, access: ACCESS, onChunk: () => null });
  return { ask };
}

describe('another try', () => {
  it('waits where the only other server is not asked at the moment', async () => {
    const times: number[] = [];
    const at = (behaviour: Behaviour): Behaviour => (response, request) => {
      times.push(performance.now());
      behaviour(response, request);
    };
    const [well, away] = [await serve(json(ANSWER)), await serve(json({}, 503))];
    const { ask } = open(configOf(backendAt(well.url, { endpoints: [away.url, well.url] })));
    for (let made = 0; made < 8; made += 1) await ask(`q${made}`);
    expect(away.requests).toHaveLength(5);
    well.behave(at(json({}, 503)), at(json(ANSWER)));
    await ask('again');
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(100);
  });
});

describe('with a cache', () => {
  const cached = (config: GatewayConfig): GatewayConfig => ({ ...config, cache: { ...CONFIG_DEFAULTS.cache, l1: { enabled: true, maxBytes: 1_000_000, ttlMs: 60_000 } } });
  const openCache = ({ cache, semanticCache }: GatewayConfig) => createAnswerCache({ cache, semantic: semanticCache, now: Date.now, random: () => 0, mayStore: () => true, hashKey: 'a key', log: () => undefined });

  it('what a fallback says is not kept, also when it comes first because the other is away', async () => {
    const [away, spare] = [await serve(json({}, 500)), await serve(json(ANSWER))];
    const { ask } = open(cached(configOf(backendAt(away.url, { name: 'a', fallbacks: ['b'], maxAttempts: 1 }), backendAt(spare.url, { name: 'b', capabilities: [] }))), { openCache });
    for (let made = 0; made < 5; made += 1) await ask(`q${made}`);
    const before = [away.requests.length, spare.requests.length];
    await ask('same');
    await ask('same');
    expect([before, away.requests.length, spare.requests.length]).toEqual([[5, 5], 5, 7]);
  });

  it('what another of the set says is kept, for it is no fallback', async () => {
    const [away, other] = [await serve(json({}, 500)), await serve(json(ANSWER))];
    const { ask } = open(cached(configOf(backendAt(away.url, { name: 'a', maxAttempts: 1 }), backendAt(other.url, { name: 'b', prices: { input: 1, cachedInput: 1, output: 1 } }))), { openCache });
    await ask('same', 'general_chat');
    await ask('same', 'general_chat');
    expect([away.requests.length, other.requests.length]).toEqual([1, 1]);
  });
});
