import { PlatformError } from '@openeaap/kernel';
import { createScanner } from '@openeaap/security';
import { afterEach, describe, expect, it } from 'vitest';
import type { Accountant, Drawn, LedgerEntry } from './accounting/accountant.ts';
import { createAnswerCache } from './cache/create-answer-cache.ts';
import { CONFIG_DEFAULTS } from './config/config.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { AskOptions, GatewayDeps, RoutedFacts } from './gateway.ts';
import { createEgressGuard } from './privacy/create-egress-guard.ts';
import type { EgressFact } from './privacy/egress-guard.ts';
import { parseRequest } from './request/parse-request.ts';
import { ACCESS, backendAt, configOf, HELLO, chatOptions, makeGateway, per1k } from './testing/make-gateway.ts';
import type { TestGateway } from './testing/make-gateway.ts';
import { breakAfter, delta, hang, hangAfter, json, startOpenAiServer, stream, usageChunk } from './testing/openai-server.ts';
import type { Behaviour, OpenAiServer } from './testing/openai-server.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(...behaviours: readonly Behaviour[]): Promise<OpenAiServer> {
  const server = await startOpenAiServer(...behaviours);
  closers.push(server.close);
  return server;
}

function open(config: GatewayConfig, deps: Partial<GatewayDeps> = {}): TestGateway {
  const gateway = makeGateway(config, deps);
  closers.push(gateway.close);
  return gateway;
}

const ANSWER = { id: 'c', object: 'chat.completion', created: 1, model: 'served', choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } };

/** For behaviours that begin later. */
const REQUEST = { method: 'POST', path: '/', headers: {}, text: '', body: {} };

function asking(text: string, fields: object = {}) {
  return parseRequest('chat', JSON.stringify({ model: '', messages: [{ role: 'user', content: text }], ...fields }));
}

function options(changes: Partial<AskOptions> = {}): AskOptions {
  return { signal: new AbortController().signal, access: ACCESS, onChunk: () => null, ...changes };
}

/** Limits nothing and remembers what it was told. */
function bookkeeper() {
  const entries: LedgerEntry[] = [];
  const settled: Drawn[] = [];
  const charged: Drawn[] = [];
  const accountant: Accountant = {
    reserve: async () => ({ settle: (spent) => void settled.push(spent), charge: (spent) => void charged.push(spent), headers: { 'x-ratelimit-limit-requests': '9' } }),
    reserveBackend: () => ({ settle: () => undefined, charge: () => undefined, headers: {} }),
    record: (entry) => void entries.push(entry),
    close: async () => undefined,
  };
  return { accountant, entries, settled, charged };
}

describe('a backend that cannot answer', () => {
  it('hands over to its fallback, which is booked with its own price', async () => {
    const [away, spare] = [await serve(json({ error: { message: 'boom' } }, 500)), await serve(json(ANSWER))];
    const { accountant, entries } = bookkeeper();
    const gateway = open(configOf(backendAt(away.url, { name: 'a', fallbacks: ['b'], maxAttempts: 1, prices: per1k(9) }), backendAt(spare.url, { name: 'b', model: 'mb', capabilities: [], prices: per1k(0.1) })), { accountant });
    const answer = await gateway.ask(asking('q'), options());
    expect(answer).toMatchObject({ backend: 'b', usage: { promptTokens: 7, costUsdMicros: 1_000 } });
    expect(spare.requests[0]?.body['model']).toBe('mb');
    expect(entries).toMatchObject([{ backend: 'b', outcome: 'ok', costUsdNanos: 1_000_000, promptTokens: 7 }]);
  });

  it('does not after the first chunk, and says so inside the stream', async () => {
    const [breaking, spare] = [await serve(breakAfter(delta({ role: 'assistant', content: 'par' }))), await serve(stream(delta({ content: 'b' }, 'stop')))];
    const gateway = open(configOf(backendAt(breaking.url, { name: 'a', fallbacks: ['b'] }), backendAt(spare.url, { name: 'b', capabilities: [] })));
    const chunks: string[] = [];
    await expect(gateway.ask(asking('q', { stream: true }), options({ onChunk: (chunk) => (chunks.push(chunk), null) }))).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(chunks).toHaveLength(1);
    expect([breaking.requests.length, spare.requests.length]).toEqual([1, 0]);
  });

  it('with several servers is asked at another one, without a wait', async () => {
    const [away, good] = [await serve(json({}, 503)), await serve(json(ANSWER))];
    const gateway = open(configOf(backendAt(away.url, { endpoints: [away.url, good.url] })));
    const answers = await Promise.all(Array.from({ length: 8 }, async (_, at) => (await gateway.ask(asking(`q${at}`), options())).model));
    expect(new Set(answers)).toEqual(new Set(['served']));
    expect(good.requests.length).toBe(8);
  });

  it('is given up when the time is over, whatever fallbacks there are', async () => {
    const [silent, spare] = [await serve(hang), await serve(json(ANSWER))];
    const gateway = open(configOf(backendAt(silent.url, { name: 'a', fallbacks: ['b'], timeoutMs: 60 }), backendAt(spare.url, { name: 'b', capabilities: [] })));
    await expect(gateway.ask(asking('q'), options())).rejects.toMatchObject({ code: 'model_unavailable', details: { reason: 'timeout', timeout_ms: 60 } });
    await silent.clientGone;
    expect(spare.requests).toHaveLength(0);
  });

  it('and is silent leaves time for its fallback where its first byte is bounded', async () => {
    const [silent, spare] = [await serve(hang), await serve(stream(delta({ role: 'assistant', content: 'b' }, 'stop')))];
    const gateway = open(configOf(backendAt(silent.url, { name: 'a', fallbacks: ['b'], firstByteTimeoutMs: 40 }), backendAt(spare.url, { name: 'b', capabilities: [] })));
    expect((await gateway.chat(HELLO, chatOptions())).backend).toBe('b');
    expect(silent.requests).toHaveLength(1);
  });
});

describe('an external backend', () => {
  const guard = createEgressGuard({ scanner: () => SCANNER, placeholderKey: 'a key of sixteen bytes' });
  const SCANNER = createScanner({ policyRules: [{ name: 'phone_number', regex: '\\b\\d{11}\\b', action: 'mask' }], builtin: true });
  const echo: Behaviour = (response, { body }) => {
    const [message] = body['messages'] as readonly { readonly content: string }[];
    stream(...Array.from(`You said: ${message?.content ?? ''}`, (letter) => delta({ content: letter })), delta({}, 'stop'), usageChunk(1, 1))(response, { method: 'POST', path: '/', headers: {}, text: '', body });
  };

  async function setUp(audit: (fact: EgressFact) => Promise<void> = async () => undefined) {
    const [outside, inside] = [await serve(echo), await serve(echo)];
    const facts: EgressFact[] = [];
    const auditEgress = async (fact: EgressFact): Promise<void> => {
      facts.push(fact);
      await audit(fact);
    };
    const gateway = open(configOf(backendAt(outside.url, { name: 'out', external: true, fallbacks: ['in'] }), backendAt(inside.url, { name: 'in', capabilities: [] })), { guard, auditEgress });
    const say = async (text: string, access = ACCESS) => (await gateway.chat({ model: 'out', messages: [{ role: 'user', content: text }] }, chatOptions({ access }))).content;
    return { outside, inside, facts, gateway, say };
  }

  it('never sees what is personal, and the caller sees it again', async () => {
    const { outside, facts, say } = await setUp();
    expect(await say('call 13812345678 or mail li@bank.example')).toBe('You said: call 13812345678 or mail li@bank.example');
    const sent = JSON.stringify(outside.requests[0]?.body);
    expect(sent).not.toMatch(/13812345678|li@bank/);
    expect(facts).toMatchObject([{ decision: 'masked', backend: 'out', host: '127.0.0.1', found: { phone_number: 1 } }]);
    expect(JSON.stringify(facts)).not.toMatch(/13812345678|li@bank/);
  });

  it('is not asked when what leaves cannot be written down', async () => {
    const { outside, inside, say } = await setUp(async () => {
      throw new PlatformError('unavailable', 'the audit is away');
    });
    await expect(say('hello')).rejects.toThrow('the audit is away');
    expect([outside.requests.length, inside.requests.length]).toEqual([0, 0]);
  });

  it('is not asked about Confidential content: the internal fallback is, with the original', async () => {
    const { outside, inside, say } = await setUp();
    expect(await say('call 13812345678', { ...ACCESS, sensitivity: 3 })).toBe('You said: call 13812345678');
    expect(outside.requests).toHaveLength(0);
    expect(JSON.stringify(inside.requests[0]?.body)).toContain('13812345678');
  });

  it('that is all there is gets nothing Confidential, and that is written down too', async () => {
    const outside = await serve(echo);
    const facts: EgressFact[] = [];
    const gateway = open(configOf(backendAt(outside.url, { name: 'out', external: true })), { guard, auditEgress: async (fact) => void facts.push(fact) });
    await expect(gateway.ask(asking('secret', { model: 'out' }), options({ access: { ...ACCESS, sensitivity: 3 } }))).rejects.toMatchObject({ code: 'policy_denied' });
    expect(outside.requests).toHaveLength(0);
    expect(facts).toMatchObject([{ decision: 'denied', backend: 'out', reason: 'confidential' }]);
    expect(gateway.observed).toMatchObject([{ outcome: 'policy_denied' }]);
  });

  it('with several servers is in the audit by the one that was asked, each time that something left', async () => {
    const [down, up] = [await serve(json({}, 503)), await serve(echo)];
    const facts: EgressFact[] = [];
    const endpoints = [down.url.replace('127.0.0.1', 'localhost'), up.url];
    const gateway = open(configOf(backendAt(down.url, { name: 'out', external: true, endpoints })), { guard, auditEgress: async (fact) => void facts.push(fact) });
    await Promise.all(Array.from({ length: 6 }, (_, at) => gateway.chat({ model: 'out', messages: [{ role: 'user', content: `q${at}` }] }, chatOptions())));
    expect(facts.filter(({ host }) => host === 'localhost')).toHaveLength(down.requests.length);
    expect(facts.filter(({ host }) => host === '127.0.0.1')).toHaveLength(up.requests.length);
    expect(down.requests.length).toBeGreaterThan(0);
  });

  it('is not shown an image; that it was refused is written down', async () => {
    const { outside, inside, facts, gateway } = await setUp();
    const request = parseRequest('chat', JSON.stringify({ model: 'out', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }] }));
    await gateway.ask({ ...request, isStream: false }, options()).catch(() => undefined);
    expect([outside.requests.length, inside.requests.length]).toEqual([0, 1]);
    expect(facts).toMatchObject([{ decision: 'denied', reason: 'unscannable_content', bytes: 0 }]);
  });
});

describe('with a cache', () => {
  const cached = (config: GatewayConfig): GatewayConfig => ({ ...config, cache: { ...CONFIG_DEFAULTS.cache, l1: { enabled: true, maxBytes: 1_000_000, ttlMs: 60_000 } } });
  const openCache = ({ cache, semanticCache }: GatewayConfig) => createAnswerCache({ cache, semantic: semanticCache, now: Date.now, random: () => 0, mayStore: () => true, hashKey: 'a key', log: () => undefined });

  it('the second answer costs nothing, and says where it is from', async () => {
    const server = await serve(json(ANSWER));
    const { accountant, entries, settled } = bookkeeper();
    const gateway = open(cached(configOf(backendAt(server.url, { prices: per1k(1) }))), { openCache, accountant });
    const routed: RoutedFacts[] = [];
    const first = await gateway.ask(asking('q'), options({ onRouted: (facts) => void routed.push(facts) }));
    const second = await gateway.ask(asking('q'), options({ onRouted: (facts) => void routed.push(facts) }));
    expect(second.document).toBe(first.document);
    expect(server.requests).toHaveLength(1);
    expect(routed).toMatchObject([{ cache: { state: 'miss' }, headers: { 'x-ratelimit-limit-requests': '9' } }, { cache: { state: 'hit', level: 'l1' } }]);
    expect([first.usage.costUsdMicros, second.usage]).toEqual([10_000, { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }]);
    expect(entries.map(({ cache, costUsdNanos }) => [cache, costUsdNanos])).toEqual([['miss', 10_000_000], ['hit', 0]]);
    expect(settled.map(({ promptTokens }) => promptTokens)).toEqual([7, 0]);
  });

  it('a hundred equal requests at once are one, and one of them pays', async () => {
    const server = await serve((response) => void setTimeout(() => json(ANSWER)(response, REQUEST), 30));
    const { accountant, entries } = bookkeeper();
    const gateway = open(cached(configOf(backendAt(server.url, { prices: per1k(1) }))), { openCache, accountant });
    const answers = await Promise.all(Array.from({ length: 100 }, () => gateway.ask(asking('q'), options())));
    expect(server.requests).toHaveLength(1);
    expect(new Set(answers.map(({ document }) => document)).size).toBe(1);
    expect(entries.reduce((sum, { costUsdNanos }) => sum + costUsdNanos, 0)).toBe(10_000_000);
    expect(entries).toHaveLength(100);
  });

  it('an answer of a fallback is not kept', async () => {
    const [flaky, spare] = [await serve(json({}, 500), json(ANSWER)), await serve(json({ ...ANSWER, model: 'spare' }))];
    const gateway = open(cached(configOf(backendAt(flaky.url, { name: 'a', fallbacks: ['b'], maxAttempts: 1 }), backendAt(spare.url, { name: 'b', capabilities: [] }))), { openCache });
    expect((await gateway.ask(asking('q'), options())).backend).toBe('b');
    expect((await gateway.ask(asking('q'), options())).backend).toBe('a');
  });

  it('whoever pays may leave: what the others wait for is booked all the same', async () => {
    const server = await serve((response) => void setTimeout(() => json(ANSWER)(response, REQUEST), 60));
    const { accountant, entries, charged } = bookkeeper();
    const gateway = open(cached(configOf(backendAt(server.url, { prices: per1k(1) }))), { openCache, accountant });
    const leader = new AbortController();
    const left = gateway.ask(asking('q'), options({ signal: leader.signal })).catch(() => 'left');
    await new Promise((resolve) => setTimeout(resolve, 10));
    const follower = gateway.ask(asking('q'), options());
    await new Promise((resolve) => setTimeout(resolve, 10));
    leader.abort();
    expect(await left).toBe('left');
    expect((await follower).document).not.toBeNull();
    expect(server.requests).toHaveLength(1);
    expect(entries.reduce((sum, { costUsdNanos }) => sum + costUsdNanos, 0)).toBe(10_000_000);
    // Two calls in the ledger and in the limits; what the first one cost came after it was over.
    expect(entries.map(({ calls, outcome }) => [calls, outcome])).toEqual([[1, 'cancelled'], [0, 'ok'], [1, 'ok']]);
    expect(charged).toMatchObject([{ promptTokens: 7, completionTokens: 3, costUsdNanos: 10_000_000 }]);
  });
});

describe('a client that leaves in the middle', () => {
  it('pays for what was written until then', async () => {
    const server = await serve(hangAfter(delta({ role: 'assistant', content: 'x'.repeat(400) })));
    const { accountant, entries, settled } = bookkeeper();
    const gateway = open(configOf(backendAt(server.url, { prices: per1k(1) })), { accountant });
    const client = new AbortController();
    const used: number[] = [];
    const left = gateway.ask(asking('four', { stream: true }), options({ signal: client.signal, onUsage: ({ completionTokens }) => void used.push(completionTokens), onChunk: () => (setImmediate(() => client.abort()), null) }));
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    expect(settled).toMatchObject([{ promptTokens: 1, completionTokens: 100 }]);
    expect(used).toEqual([100]);
    expect(entries).toMatchObject([{ outcome: 'cancelled', completionTokens: 100, costUsdNanos: 101_000_000 }]);
    expect(gateway.observed).toMatchObject([{ usage: { completionTokens: 100 } }]);
  });
});

describe('a limit', () => {
  it('that is granted after the client has left is given back', async () => {
    const server = await serve(json(ANSWER));
    let grant: () => void = () => undefined;
    const settled: { readonly promptTokens: number }[] = [];
    const accountant: Accountant = {
      reserve: () =>
        new Promise((resolve) => {
          grant = () => resolve({ settle: (spent) => void settled.push(spent), charge: () => undefined, headers: {} });
        }),
      reserveBackend: () => ({ settle: () => undefined, charge: () => undefined, headers: {} }),
      record: () => undefined,
      close: async () => undefined,
    };
    const gateway = open(configOf(backendAt(server.url)), { accountant });
    const client = new AbortController();
    const left = gateway.ask(asking('q'), options({ signal: client.signal })).catch((error: { readonly code: string }) => error.code);
    client.abort();
    expect(await left).toBe('cancelled');
    grant();
    await expect.poll(() => settled).toMatchObject([{ promptTokens: 0 }]);
    expect(server.requests).toHaveLength(0);
  });

  it('of money looks at the dearest that may answer, for a free one may be away', async () => {
    const server = await serve(json(ANSWER));
    const asked: number[] = [];
    const { accountant } = bookkeeper();
    const gateway = open(configOf(backendAt(server.url, { name: 'free', fallbacks: ['dear'] }), backendAt(server.url, { name: 'dear', capabilities: [], prices: per1k(1) })), {
      accountant: { ...accountant, reserve: (request) => (asked.push(request.costUsdNanos), accountant.reserve(request)) },
    });
    await gateway.ask(asking('four', { max_tokens: 99 }), options());
    expect(asked).toEqual([100_000_000]);
  });
});

describe('a changed configuration', () => {
  it('holds for the next request; what is under way ends as it began', async () => {
    let finish: () => void = () => undefined;
    const before = await serve((response) => {
      finish = () => json({ ...ANSWER, model: 'before' })(response, REQUEST);
    });
    const after = await serve(json({ ...ANSWER, model: 'after' }));
    const gateway = open(configOf(backendAt(before.url)));
    const underWay = gateway.ask(asking('q'), options());
    await expect.poll(() => before.requests.length).toBe(1);
    gateway.reload(configOf(backendAt(after.url, { name: 'b2' })));
    expect((await gateway.ask(asking('q'), options())).model).toBe('after');
    expect(gateway.models().map(({ name }) => name)).toEqual(['b2']);
    finish();
    expect((await underWay).model).toBe('before');
  });

  it('that cannot be opened leaves the old one', async () => {
    const server = await serve(json(ANSWER));
    const gateway = open(configOf(backendAt(server.url)), { readScript: () => 'no: script' });
    expect(() => gateway.reload(configOf(backendAt('', { type: 'scripted', script: 'x' })))).toThrow('x:1:1');
    expect((await gateway.ask(asking('q'), options())).backend).toBe('b1');
  });
});
