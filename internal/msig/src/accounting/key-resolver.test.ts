import { describe, expect, test } from 'vitest';
import type { ModelKey } from '@openeaap/kernel';
import { NO_MODEL_LIMITS } from '@openeaap/kernel';
import { toKeyAccess } from './key-access.ts';
import { createKeyResolver } from './key-resolver.ts';
import type { KeyResolverDeps } from './key-resolver.ts';
import { hashModelKey, isModelKey, newModelKeySecret } from './model-key-secret.ts';

const AT = new Date('2026-11-24T12:00:00Z');

const toKey = (id: string, over: Partial<ModelKey> = {}): ModelKey => ({
  tenantId: 't', id, name: id, prefix: 'oek_', owner: 'alice', models: ['local'], sensitivity: 2, labels: ['soc'], labelsGranted: true, priority: -1, limits: { ...NO_MODEL_LIMITS, usdTotal: 1 },
  expiresAt: null, createdBy: 'root', createdAt: AT, updatedAt: AT, revokedAt: null, lastUsedAt: null, revision: 1, ...over,
});

function open(over: Partial<KeyResolverDeps> = {}) {
  const clock = { nowMs: AT.getTime() };
  const rows = new Map<string, ModelKey>();
  const found: string[] = [];
  const resolver = createKeyResolver({
    now: () => clock.nowMs,
    find: async (hash) => {
      found.push(hash);
      return rows.get(hash) ?? null;
    },
    ...over,
  });
  const make = (id: string, more: Partial<ModelKey> = {}): string => {
    const { secret, hash } = newModelKeySecret();
    rows.set(hash, toKey(id, more));
    return secret;
  };
  return { resolver, clock, rows, found, make };
}

describe('the secret of a key', () => {
  test('is 32 random bytes behind oek_; nothing else looks like one', () => {
    const { secret, hash, prefix } = newModelKeySecret((bytes) => Buffer.alloc(bytes, 255));
    expect(secret).toBe(`oek_${'_'.repeat(42)}8`);
    expect({ hash, prefix }).toEqual({ hash: hashModelKey(secret), prefix: secret.slice(0, 12) });
    expect(isModelKey(newModelKeySecret().secret)).toBe(true);
    for (const other of ['', 'oek_', 'step-abc', `oea_${'a'.repeat(43)}`, `${secret}x`, ` ${secret}`, `${secret}\n`]) expect([other, isModelKey(other)]).toEqual([other, false]);
    expect(newModelKeySecret().secret).not.toBe(newModelKeySecret().secret);
  });
});

describe('whose key it is', () => {
  test('is looked up once, then known without a promise; after five seconds it is looked up again', async () => {
    const { resolver, clock, found, make } = open();
    const secret = make('k');
    expect(await resolver.resolve(secret)).toMatchObject({ id: 'k' });
    expect(resolver.resolve(secret)).toMatchObject({ id: 'k' });
    clock.nowMs += 4_999;
    expect(resolver.resolve(secret)).toMatchObject({ id: 'k' });
    clock.nowMs += 1;
    expect(resolver.resolve(secret)).toBeInstanceOf(Promise);
    await resolver.resolve(secret);
    expect(found).toHaveLength(2);
  });

  test('requests that come at once share one look', async () => {
    const { resolver, found, make } = open();
    const secret = make('k');
    await Promise.all(Array.from({ length: 100 }, async () => resolver.resolve(secret)));
    expect(found).toHaveLength(1);
  });

  test('what cannot be a key is not looked up, and a wrong one once in five seconds', async () => {
    const { resolver, clock, found } = open();
    expect(resolver.resolve('step-abc')).toBeNull();
    const { secret } = newModelKeySecret();
    expect(await resolver.resolve(secret)).toBeNull();
    expect(resolver.resolve(secret)).toBeNull();
    clock.nowMs += 5_000;
    expect(await resolver.resolve(secret)).toBeNull();
    expect(found).toHaveLength(2);
  });

  test('a revoked key opens nothing after five seconds elsewhere, and at once on the node that revoked it', async () => {
    const { resolver, clock, rows, make } = open();
    const [elsewhere, here] = [make('k1'), make('k2')];
    await Promise.all([elsewhere, here].map(async (secret) => resolver.resolve(secret)));
    rows.clear();
    resolver.forget('k2');
    expect(await resolver.resolve(here)).toBeNull();
    expect(resolver.resolve(elsewhere)).toMatchObject({ id: 'k1' });
    clock.nowMs += 5_000;
    expect(await resolver.resolve(elsewhere)).toBeNull();
    expect(resolver.resolve(elsewhere)).toBeNull();
  });

  test('a look that was under way when the key was revoked is not remembered', async () => {
    let answer: (key: ModelKey | null) => void = () => undefined;
    let looks = 0;
    const { resolver, make } = open({ find: () => ((looks += 1), new Promise((resolve) => (answer = resolve))) });
    const secret = make('k');
    const early = resolver.resolve(secret);
    const answerEarly = answer;
    resolver.forget('k');
    const late = resolver.resolve(secret);
    answerEarly(toKey('k'));
    answer(null);
    expect([(await early)?.id, await late, looks]).toEqual(['k', null, 2]);
    expect(resolver.resolve(secret)).toBeNull();
  });

  test('a key is over to the millisecond, also while it is remembered', async () => {
    const { resolver, clock, make } = open();
    const secret = make('k', { expiresAt: new Date(AT.getTime() + 1_000) });
    await resolver.resolve(secret);
    clock.nowMs += 999;
    expect(resolver.resolve(secret)).toMatchObject({ id: 'k' });
    clock.nowMs += 1;
    expect(resolver.resolve(secret)).toBeNull();
  });

  test('a store that is away fails the look and nothing is remembered of it', async () => {
    let isAway = true;
    const key = toKey('k');
    const { resolver, clock, make } = open({ find: async () => (isAway ? Promise.reject(new Error('away')) : key) });
    const secret = make('k');
    await expect(resolver.resolve(secret)).rejects.toThrow('away');
    isAway = false;
    expect(await resolver.resolve(secret)).toBe(key);
    isAway = true;
    clock.nowMs += 5_000;
    await expect(resolver.resolve(secret)).rejects.toThrow('away');
  });

  test('who tries keys fills neither the memory nor the store, and keeps nobody out who has one', async () => {
    const pending: ((key: ModelKey | null) => void)[] = [];
    const rows = new Map<string, ModelKey>();
    const { resolver, clock } = open({ waitingMax: 0, find: (hash) => (rows.has(hash) ? Promise.resolve(rows.get(hash) ?? null) : new Promise((resolve) => pending.push(resolve))), lookupsMax: 2, max: 3 });
    const { secret, hash } = newModelKeySecret();
    rows.set(hash, toKey('k'));
    await resolver.resolve(secret);
    const tried = [1, 2].map(async () => resolver.resolve(newModelKeySecret().secret));
    await expect(resolver.resolve(newModelKeySecret().secret)).rejects.toMatchObject({ code: 'unavailable' });
    clock.nowMs += 5_000;
    expect(await resolver.resolve(secret)).toMatchObject({ id: 'k' });
    for (const answer of pending.splice(0)) answer(null);
    expect(await Promise.all(tried)).toEqual([null, null]);
    for (let index = 0; index < 10; index += 1) {
      const wrong = resolver.resolve(newModelKeySecret().secret);
      pending.splice(0).forEach((answer) => answer(null));
      expect(await wrong).toBeNull();
    }
    expect(resolver.resolve(secret)).toMatchObject({ id: 'k' });
  });

  test('on a node that knows no key yet all are looked up, a few at once; the others wait for their turn', async () => {
    let running = 0;
    let most = 0;
    const { resolver, make, rows } = open({
      lookupsMax: 4,
      find: async (hash) => {
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return rows.get(hash) ?? null;
      },
    });
    const secrets = Array.from({ length: 100 }, (_, index) => make(`k${index}`));
    const found = await Promise.all(secrets.map(async (secret) => resolver.resolve(secret)));
    expect(found.map((key) => key?.id)).toEqual(secrets.map((_, index) => `k${index}`));
    expect(most).toBe(4);
  });

  test('nobody waits for a turn longer than so long, and not more than so many do', async () => {
    const { resolver, make } = open({ lookupsMax: 1, waitingMax: 1, waitMs: 10, find: () => new Promise(() => undefined) });
    void resolver.resolve(make('k1'));
    const waiting = resolver.resolve(make('k2'));
    await expect(resolver.resolve(make('k3'))).rejects.toMatchObject({ code: 'unavailable', details: { reason: 'key_lookups', retry_after_ms: 1_000 } });
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('what it may do goes with each request', () => {
    expect(toKeyAccess(toKey('k'), { traceId: 'x' })).toEqual({
      tenantId: 't', userId: 'alice', keyId: 'k', keyName: 'k', runId: '', stepId: '', agentId: '', traceId: 'x', models: ['local'], sensitivity: 2, labels: ['soc'], priority: -1, limits: { ...NO_MODEL_LIMITS, usdTotal: 1 },
    });
  });
});
