import type { JsonObject } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { callOf, chatBody, chunk, counting, makeCache, replyWith, streaming } from '../testing/cache-calls.ts';
import type { CallChanges, TestCache } from '../testing/cache-calls.ts';
import { lexicalVector } from './lexical-vector.ts';
import { createMemoryVectors } from './memory-vectors.ts';
import { normalized } from './vector-store.ts';
import type { VectorStore } from './vector-store.ts';

/** One request, and everything that is kept of it. */
async function ask(cache: TestCache, body: JsonObject, changes: CallChanges & { readonly produce?: Parameters<TestCache['through']>[1] } = {}) {
  const ended = await cache.through(callOf(body, changes), changes.produce ?? counting());
  await cache.settled();
  return ended;
}

const on = (changes: object = {}): TestCache => makeCache({ semantic: { enabled: true, ...changes } });
const RESET = 'How do I reset my password?';
const RESET_TOO = 'Please tell me how to reset my password';

describe('the semantic level', () => {
  it('answers the same question in other words, and says how near it was', async () => {
    const cache = on();
    const first = await ask(cache, chatBody(RESET));
    cache.pass(2_000);
    const { reply, cache: outcome } = await ask(cache, chatBody(RESET_TOO));
    expect(outcome).toEqual({ state: 'hit', level: 'l3', ageMs: 2_000, similarity: expect.closeTo(1, 3) });
    expect(reply).toEqual(first.reply);
  });

  it('answers none that the guard tells apart, though the vectors are equal', async () => {
    const cache = on();
    await ask(cache, chatBody('Can users approve admins?'));
    expect((await ask(cache, chatBody('Can admins approve users?'))).cache.state).toBe('miss');
    expect(cache.events).toContainEqual({ kind: 'guarded', similarity: expect.closeTo(1, 3), reason: 'order' });
    const unguarded = on({ guard: false });
    await ask(unguarded, chatBody('Can users approve admins?'));
    expect((await ask(unguarded, chatBody('Can admins approve users?'))).cache.level).toBe('l3');
  });

  it.each<[string, JsonObject, CallChanges]>([
    ['tenant', chatBody(RESET_TOO), { access: { tenantId: 't2' } }],
    ['labels', chatBody(RESET_TOO), { access: { labels: ['hr'] } }],
    ['sensitivity', chatBody(RESET_TOO), { access: { sensitivity: 2 } }],
    ['who would answer', chatBody(RESET_TOO), { identity: 'b2/m2' }],
    ['system prompt', { ...chatBody(RESET_TOO), messages: [{ role: 'system', content: 'be rude' }, { role: 'user', content: RESET_TOO }] }, {}],
    ['a parameter', chatBody(RESET_TOO, { response_format: { type: 'json_object' } }), {}],
    ['stream', chatBody(RESET_TOO, { stream: true }), {}],
    ['a name of the one who asks', { ...chatBody(RESET_TOO), messages: [{ role: 'system', content: 'be brief' }, { role: 'user', name: 'eve', content: RESET_TOO }] }, {}],
    ['the client\'s wish', chatBody(RESET_TOO), { control: { semantic: false } }],
    ['its age', chatBody(RESET_TOO), { control: { maxAgeMs: 500 } }],
  ])('keeps apart by %s', async (_name, body, changes) => {
    const cache = on();
    await ask(cache, chatBody(RESET));
    cache.pass(1_000);
    expect((await ask(cache, body, changes)).cache.state).toBe('miss');
  });

  it.each<[string, (question: string) => JsonObject]>([
    ['several turns', (question) => ({ messages: [{ role: 'user', content: 'hi' }, { role: 'assistant', content: 'yes?' }, { role: 'user', content: question }] })],
    ['tools', (question) => chatBody(question, { tools: [{ type: 'function', function: { name: 'f' } }] })],
  ])('is closed to %s unless it is asked for', async (_name, body) => {
    const cache = on();
    const asked = { control: { semantic: true } };
    await ask(cache, body(RESET), asked);
    expect((await ask(cache, body(RESET_TOO))).cache.state).toBe('miss');
    expect((await ask(cache, body('How can I reset my password'), asked)).cache.level).toBe('l3');
    const open = on({ multiTurn: true });
    await ask(open, body(RESET));
    expect((await ask(open, body(RESET_TOO))).cache.level).toBe('l3');
  });

  it.each<[string, (question: string) => JsonObject, CallChanges]>([
    ['an image beside it', (question) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: question }, { type: 'image_url', image_url: { url: 'data:,' } }] }] }), {}],
    ['a whole document in it', (question) => chatBody(`${'long '.repeat(500)} ${question}`), {}],
    ['a body that says something twice', (question) => ({ question }), { text: '' }],
  ])('has nothing to say of a question with %s', async (_name, body, changes) => {
    const cache = on({ guard: false, similarityThreshold: 0.1 });
    const twice = (question: string): string => `{"a":1,"a":2,${JSON.stringify(chatBody(question)).slice(1)}`;
    for (const question of [RESET, RESET_TOO]) {
      expect((await ask(cache, body(question), changes.text === '' ? { text: twice(question) } : {})).cache.state).toBe('miss');
    }
    expect(cache.events.filter(({ kind }) => kind === 'look')).not.toContainEqual(expect.objectContaining({ level: 'l3' }));
  });

  it('replays streams, and knows the questions of responses', async () => {
    const cache = on();
    const chunks = [chunk('use the '), chunk('portal', 'stop')];
    await ask(cache, chatBody(RESET, { stream: true }), { produce: streaming(chunks) });
    const again = callOf(chatBody(RESET_TOO, { stream: true }));
    expect((await cache.through(again, streaming([]))).cache.level).toBe('l3');
    expect(again.got).toEqual(chunks);
    const response = async () => replyWith('', { document: '{"object":"response","status":"completed"}' });
    await ask(cache, { input: RESET, store: false, instructions: 'x' }, { kind: 'responses', produce: response });
    expect((await ask(cache, { input: RESET_TOO, store: false, instructions: 'x' }, { kind: 'responses' })).cache.level).toBe('l3');
    expect((await ask(cache, { input: RESET_TOO, store: false, instructions: 'y' }, { kind: 'responses' })).cache.state).toBe('miss');
  });

  it('forgets in time', async () => {
    const cache = on({ ttlMs: 120_000 });
    await ask(cache, chatBody(RESET));
    cache.pass(119_999);
    expect((await ask(cache, chatBody(RESET_TOO), { control: { write: false } })).cache.level).toBe('l3');
    cache.pass(1);
    expect((await ask(cache, chatBody(RESET_TOO))).cache.state).toBe('miss');
  });

  it('keeps nothing with data of persons, in the question or in the answer', async () => {
    const cache = makeCache({ semantic: { enabled: true }, mayStore: (text) => !text.includes('13800138000') });
    await ask(cache, chatBody('Whose phone is 13800138000?'));
    await ask(cache, chatBody(RESET, { stream: true }), { produce: streaming([chunk('call 138'), chunk('00138000', 'stop')]) });
    expect(cache.events.filter(({ kind }) => kind === 'not_kept')).toEqual([{ kind: 'not_kept', level: 'l3', reason: 'personal' }, { kind: 'not_kept', level: 'l3', reason: 'personal' }]);
    expect((await ask(cache, chatBody('Please, whose phone is 13800138000?'))).cache.state).toBe('miss');
    expect((await ask(cache, chatBody('Whose phone is 13800138000?'))).cache.level).toBe('l1');
  });
});

describe('what is kept behind the client\'s back', () => {
  it('is looked through: numbers, keys and what lies deep', async () => {
    const cache = makeCache({ semantic: { enabled: true }, mayStore: (text) => !text.includes('13800138000') });
    const nested = (levels: number): JsonObject => (levels === 0 ? { a: '13800138000' } : { a: nested(levels - 1) });
    for (const more of [{ seed: 13_800_138_000 }, { '13800138000': 1 }, { deep: nested(150) }]) await ask(cache, chatBody(RESET, more));
    expect(cache.events.filter(({ kind }) => kind === 'not_kept')).toEqual(Array.from({ length: 3 }, () => ({ kind: 'not_kept', level: 'l3', reason: 'personal' })));
  });

  it('is no more than may wait; the level that does not get it is named', async () => {
    const cache = on();
    await Promise.all(Array.from({ length: 300 }, (_, at) => cache.through(callOf(chatBody(`question ${at}`)), counting())));
    expect(cache.events.filter(({ kind }) => kind === 'not_kept')).toEqual(Array.from({ length: 300 - 256 }, () => ({ kind: 'not_kept', level: 'l3', reason: 'busy' })));
    await cache.settled();
  });
});

describe('the shadow', () => {
  it('asks the backend although there is a hit, and says whether the answers agree', async () => {
    const cache = makeCache({ semantic: { enabled: true, shadow: 1 } });
    const say = (text: string) => async () => replyWith(text);
    await ask(cache, chatBody(RESET), { produce: say('Open the portal and choose "forgot password".') });
    expect((await ask(cache, chatBody(RESET_TOO), { produce: say('Open the portal and choose "forgot password".') })).cache.state).toBe('miss');
    await ask(cache, chatBody('How can I reset my password'), { produce: say('Call 4711.') });
    expect(cache.events.filter(({ kind }) => kind === 'shadow')).toEqual([
      { kind: 'shadow', similarity: expect.closeTo(1, 3), isAgreed: true, overlap: 1 },
      { kind: 'shadow', similarity: expect.closeTo(1, 3), isAgreed: false, overlap: 0 },
    ]);
  });

  it('is made after the client has its answer', async () => {
    const cache = makeCache({ semantic: { enabled: true, shadow: 1 } });
    await ask(cache, chatBody(RESET));
    await cache.through(callOf(chatBody(RESET_TOO)), counting());
    expect(cache.events).not.toContainEqual(expect.objectContaining({ kind: 'shadow' }));
    await cache.settled();
    expect(cache.events).toContainEqual(expect.objectContaining({ kind: 'shadow' }));
  });

  it('looks at its share of the hits only', async () => {
    const draws = [0.6, 0.4];
    const cache = makeCache({ semantic: { enabled: true, shadow: 0.5 }, random: () => draws.shift() ?? 1 });
    await ask(cache, chatBody(RESET));
    expect((await ask(cache, chatBody(RESET_TOO))).cache.level).toBe('l3');
    expect((await ask(cache, chatBody('How can I reset my password'))).cache.state).toBe('miss');
  });
});

describe('a model that embeds', () => {
  const embedded = (embed: (texts: readonly string[]) => Promise<readonly (readonly number[])[]>) => makeCache({ semantic: { enabled: true, embeddingBackend: 'embedder' }, embed });
  const vectors = async (texts: readonly string[]) => texts.map((text) => [...(lexicalVector(text) ?? [1])]);

  it('is asked once for each question, to find and to keep', async () => {
    let asked = 0;
    const cache = embedded(async (texts) => {
      asked += texts.length;
      return vectors(texts);
    });
    await ask(cache, chatBody(RESET));
    expect((await ask(cache, chatBody(RESET_TOO))).cache.level).toBe('l3');
    expect(asked).toBe(2);
  });

  it.each<[string, () => Promise<readonly (readonly number[])[]>]>([
    ['fails', async () => { throw new Error('down'); }],
    ['gives too few', async () => []],
    ['says nothing', () => new Promise(() => undefined)],
  ])('that %s does not end a request; it rests, and is asked again', async (_name, failing) => {
    let asked = 0;
    let works = false;
    const cache = embedded(async (texts) => {
      asked += 1;
      return works ? vectors(texts) : failing();
    });
    for (const question of ['one thing', 'two things', 'three things']) expect((await ask(cache, chatBody(question))).cache.state).toBe('miss');
    expect(asked).toBe(1);
    works = true;
    cache.pass(10_000);
    await ask(cache, chatBody(RESET));
    expect((await ask(cache, chatBody(RESET_TOO))).cache.level).toBe('l3');
    expect(cache.events.filter(({ kind }) => kind === 'semantic')).toEqual([{ kind: 'semantic', isOn: false }, { kind: 'semantic', isOn: true }]);
    expect(cache.lines).toHaveLength(2);
  });

  it('gets questions of one caller together while it is busy, and never those of two', async () => {
    const batches: (readonly string[])[] = [];
    const cache = embedded(async (texts) => {
      batches.push(texts);
      return vectors(texts);
    });
    const asks = Array.from({ length: 60 }, (_, at) => cache.through(callOf(chatBody(`question ${at}`), { access: { userId: at % 2 === 0 ? 'even' : 'odd' } }), counting()));
    await Promise.all(asks);
    expect(batches.flat()).toHaveLength(60);
    for (const batch of batches) expect(new Set(batch.map((text) => Number(text.slice(9)) % 2)).size).toBe(1);
    expect(batches.length).toBeLessThan(60);
  });

  it('gives each question its 300 ms, however many wait', async () => {
    let answers = 0;
    const aborted: AbortSignal[] = [];
    const cache = makeCache({
      semantic: { enabled: true, embeddingBackend: 'embedder' },
      embed: async (texts, _access, signal) => {
        aborted.push(signal);
        await new Promise((resolve) => setTimeout(resolve, 200));
        answers += 1;
        return vectors(texts);
      },
    });
    const startedMs = performance.now();
    // Each of another caller, so none goes with another.
    await Promise.all(Array.from({ length: 200 }, (_, at) => cache.through(callOf(chatBody(`question ${at}`), { access: { userId: `u${at}` } }), counting())));
    expect(performance.now() - startedMs).toBeLessThan(600);
    expect(answers).toBe(16);
    // The second round was under way when nobody waited for it any more.
    expect(aborted.filter((signal) => signal.aborted)).toHaveLength(16);
  });

  it('whose vectors have another length than before finds nothing', async () => {
    let dimensions = 3;
    const cache = embedded(async (texts) => texts.map(() => Array.from({ length: dimensions }, () => 1)));
    await ask(cache, chatBody(RESET));
    dimensions = 4;
    expect((await ask(cache, chatBody(RESET_TOO))).cache.state).toBe('miss');
  });
});

describe('a vector store', () => {
  it('is not searched for who reads no cache, and gets the answer all the same', async () => {
    const memory = createMemoryVectors({ maxEntries: 10 });
    let searches = 0;
    const store: VectorStore = { ...memory, search: (query) => ((searches += 1), memory.search(query)) };
    const cache = makeCache({ semantic: { enabled: true, backend: 'postgres' }, vectors: store });
    await ask(cache, chatBody(RESET), { control: { read: false } });
    expect(searches).toBe(0);
    expect((await ask(cache, chatBody(RESET_TOO))).cache.level).toBe('l3');
  });
});

describe('a vector store that fails', () => {
  const fail = (): never => {
    throw new Error('no');
  };

  it.each((['search', 'load', 'add'] as const).flatMap((step) => [[step, fail], [step, async () => fail()]] as const))('at %s ends no request', async (broken, failing) => {
    const store: VectorStore = { ...createMemoryVectors({ maxEntries: 10 }), [broken]: failing };
    const cache = makeCache({ semantic: { enabled: true, backend: 'postgres' }, vectors: store });
    await ask(cache, chatBody(RESET));
    expect((await ask(cache, chatBody(RESET_TOO))).cache.state).toBe('miss');
    expect(cache.events).toContainEqual({ kind: 'semantic', isOn: false });
  });
});

describe('vectors in memory', () => {
  const entry = (id: string, changes: object = {}) => ({ tenantId: 't', scope: 's', id, vector: normalized([1, 0]) ?? new Float32Array(), facts: 'f', answer: Buffer.alloc(100), nowMs: 0, untilMs: 10, ...changes });
  const query = { tenantId: 't', scope: 's', vector: normalized([1, 0.1]) ?? new Float32Array(), limit: 2, least: 0.5, nowMs: 0 };

  it('give the nearest, best first, of one scope and tenant, while they live', async () => {
    const store = createMemoryVectors({ maxEntries: 10 });
    await store.add(entry('far', { vector: normalized([0, 1]) }));
    await store.add(entry('near'));
    await store.add(entry('nearest', { vector: normalized([1, 0.1]) }));
    await store.add(entry('other', { vector: normalized([1, 0.5]) }));
    expect((await store.search(query)).map(({ id }) => id)).toEqual(['nearest', 'near']);
    for (const elsewhere of [{ scope: 'x' }, { tenantId: 'x' }, { nowMs: 10 }, { vector: Float32Array.of(1, 0, 0) }]) expect(await store.search({ ...query, ...elsewhere })).toEqual([]);
    expect(await store.load({ tenantId: 'x', scope: 's', id: 'near' })).toBeNull();
  });

  it('stay within entries and bytes; the oldest go first', async () => {
    const few = createMemoryVectors({ maxEntries: 3 });
    for (const id of ['a', 'b', 'c', 'd', 'd']) await few.add(entry(id));
    expect(await few.load(entry('a'))).toBeNull();
    expect(await few.load(entry('b'))).not.toBeNull();
    const small = createMemoryVectors({ maxEntries: 100, maxBytes: 3_000 });
    for (let at = 0; at < 10; at += 1) await small.add(entry(String(at)));
    expect(await Promise.all([...Array(10).keys()].map(async (at) => (await small.load(entry(String(at)))) !== null))).toEqual([...Array<boolean>(6).fill(false), ...Array<boolean>(4).fill(true)]);
    await small.add(entry('huge', { answer: Buffer.alloc(5_000) }));
    expect(await small.load(entry('huge'))).toBeNull();
  });
});
