import { afterEach, describe, expect, it } from 'vitest';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import type { GatewayDeps } from '../gateway.ts';
import { parseRequest } from '../request/parse-request.ts';
import { ACCESS, backendAt, configOf, makeGateway } from '../testing/make-gateway.ts';
import { json, startOpenAiServer } from '../testing/openai-server.ts';
import type { Behaviour, OpenAiServer } from '../testing/openai-server.ts';
import { createFleet } from './create-fleet.ts';
import { ACCESS as READER, aBackend, aConfig, answered, aRequest, failed, NEVER } from './testing/a-fleet.ts';
import { createManualTime, seededRandom } from './testing/manual-time.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const REQUEST = { method: 'POST', path: '/', headers: {}, text: '', body: {} };
const answer = (model: string): Behaviour => json({ id: 'c', object: 'chat.completion', created: 1, model, choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } });

async function serve(...behaviours: readonly Behaviour[]): Promise<OpenAiServer> {
  const server = await startOpenAiServer(...behaviours);
  closers.push(server.close);
  return server;
}

function open(config: GatewayConfig, deps: Partial<GatewayDeps> = {}) {
  const gateway = makeGateway(config, deps);
  closers.push(gateway.close);
  const ask = async (text: string) =>
    (await gateway.ask(parseRequest('chat', JSON.stringify({ model: '', messages: [{ role: 'user', content: text }] })), { signal: new AbortController().signal, access: ACCESS, onChunk: () => null })).model;
  return { gateway, ask, health: () => gateway.health().backends.find(({ name }) => name === 'b1') };
}

/** Answers when the test says so. */
function held() {
  const answers: (() => void)[] = [];
  const behaviour: Behaviour = (response) => void answers.push(() => answer('served')(response, REQUEST));
  return { behaviour, answers, answerNext: () => answers.shift()?.() };
}

const other = (): BackendConfig => backendAt('http://127.0.0.1:1', { name: 'other' });

describe('a changed configuration', () => {
  it('does not forget what is under way at a backend that it says the same of', async () => {
    const { behaviour, answers, answerNext } = held();
    const server = await serve(behaviour);
    const backend = backendAt(server.url, { maxConcurrent: 1 });
    const { gateway, ask, health } = open(configOf(backend));
    const first = ask('1');
    await expect.poll(() => answers.length).toBe(1);
    gateway.reload(configOf({ ...backend }, other()));
    const second = ask('2');
    await expect.poll(() => health()).toMatchObject({ inFlight: 1, queued: 1 });
    expect(server.requests).toHaveLength(1);
    answerNext();
    expect(await first).toBe('served');
    await expect.poll(() => answers.length).toBe(1);
    expect(health()).toMatchObject({ inFlight: 1, queued: 0 });
    answerNext();
    expect(await second).toBe('served');
  });

  it('leaves open what goes on, through several changes, and closes the rest when nobody uses it', async () => {
    const { behaviour, answers, answerNext } = held();
    const server = await serve(behaviour);
    const backend = backendAt(server.url);
    const { gateway, ask, health } = open(configOf(backend));
    const first = ask('1');
    await expect.poll(() => answers.length).toBe(1);
    // The second configuration is idle at once and goes, the first waits for its request.
    gateway.reload(configOf(backend, other()));
    gateway.reload(configOf(other()));
    await new Promise((resolve) => setImmediate(resolve));
    answerNext();
    expect(await first).toBe('served');
    gateway.reload(configOf(backend));
    const again = ask('2');
    await expect.poll(() => answers.length).toBe(1);
    answerNext();
    expect(await again).toBe('served');
    expect(health()).toMatchObject({ inFlight: 0, state: 'up' });
  });

  it('keeps connections, and what was learned of a server, unless something is said anew of it', async () => {
    const server = await serve(answer('served'));
    const backend = backendAt(server.url, { apiKey: () => 'key', maxAttempts: 1 });
    const { gateway, ask, health } = open(configOf(backend));
    await ask('1');
    await ask('2');
    const before = server.connections();
    gateway.reload(configOf({ ...backend, apiKey: () => 'key' }));
    await ask('3');
    await ask('4');
    expect([server.connections(), health()?.state]).toEqual([before, 'up']);
    server.behave(json({}, 500));
    for (let made = 0; made < 5; made += 1) await ask(`f${made}`).catch(() => undefined);
    gateway.reload(configOf(backend, other()));
    expect(health()?.breaker).toBe('open');
    for (const changed of [configOf({ ...backend, apiKey: () => 'new key' }), { ...configOf(backend), routing: { ...configOf(backend).routing, breaker: { failures: 6, openMs: 1 } } }]) {
      gateway.reload(changed);
      expect(health()).toMatchObject({ state: 'unknown', breaker: 'closed' });
      gateway.reload(configOf(backend));
    }
  });

  it('reads a script again, for its file may have changed too', async () => {
    let text = 'model: before\nrules: [{name: all, reply: {content: "x"}}]';
    const config = configOf(backendAt('', { type: 'scripted', script: 'x' }));
    const { gateway, ask } = open(config, { readScript: () => text });
    expect(await ask('1')).toBe('before');
    text = text.replace('before', 'after');
    gateway.reload(config);
    expect(await ask('2')).toBe('after');
    text = 'no script';
    expect(() => gateway.reload(config)).toThrow('x:1:1');
    expect(await ask('3')).toBe('after');
  });

  it('goes by the loads that are read from then on', async () => {
    let busy = 0;
    const at = (own: number): Behaviour => (response, request) => {
      if (request.path.endsWith('/metrics')) response.end(`vllm:num_requests_running ${busy === own ? 50 : 0}\n`);
      else answer(`server ${own}`)(response, request);
    };
    const [one, two] = [await serve(at(0)), await serve(at(1))];
    const backend = backendAt(one.url, { type: 'vllm', endpoints: [one.url, two.url], vllm: { cacheSharing: 'tenant', priority: false, metricsIntervalMs: 20 } });
    const { gateway, ask } = open(configOf(backend));
    const isBusy = (url: string) => gateway.loads().get(url)?.running === 50;
    await expect.poll(() => isBusy(one.url)).toBe(true);
    expect(await ask('1')).toBe('server 1');
    gateway.reload(configOf(backend, other()));
    busy = 1;
    await expect.poll(() => isBusy(two.url) && !isBusy(one.url)).toBe(true);
    for (let made = 0; made < 4; made += 1) expect(await ask(`${made}`)).toBe('server 0');
  });
});

describe('fleets that follow each other', () => {
  const time = createManualTime();
  const deps = { now: time.now, random: seededRandom(1), readLoad: () => null, setTimer: time.setTimer };
  const call = { signal: NEVER, deadlineMs: time.now() + 10_000, avoid: [] };

  it('share a pool until the last of them is closed', async () => {
    const [a, b] = [aBackend('a', { maxConcurrent: 1 }), aBackend('b')];
    const first = createFleet(aConfig([a, b]), deps);
    const place = await first.enter(a, aRequest(), READER, call);
    const second = createFleet(aConfig([a]), deps, first);
    const third = createFleet(aConfig([a]), deps, second);
    const waiting = third.enter(a, aRequest(), READER, call);
    await second.close();
    await first.close();
    expect(third.health()).toMatchObject([{ inFlight: 1, queued: 1 }]);
    place.leave(answered());
    (await waiting).leave(failed());
    expect(third.health()).toMatchObject([{ inFlight: 0, queued: 0, detail: 'It is broken.' }]);
    await expect(first.enter(b, aRequest(), READER, call)).rejects.toMatchObject({ details: { reason: 'closing' } });
    await third.close();
    await expect(third.enter(a, aRequest(), READER, call)).rejects.toMatchObject({ details: { reason: 'closing' } });
  });
});
