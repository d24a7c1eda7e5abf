import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelKey } from '@openeaap/kernel';
import { NO_MODEL_LIMITS, randomIds } from '@openeaap/kernel';
import { putUser } from '../access/users.ts';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import type { NewModelKey } from './index.ts';
import { createModelKey, findLiveModelKey, findModelKey, listModelKeys, revokeModelKey, touchModelKey, updateModelKey } from './index.ts';

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 2 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const toNew = (name: string, over: Partial<NewModelKey> = {}): NewModelKey => ({
  tenantId: 't', id: randomIds.newId(), name, keyHash: `hash-of-${name}`, prefix: 'oek_abcdefgh', owner: 'alice', models: ['local', 'qwen'], sensitivity: 2, labels: ['soc'], labelsGranted: true, priority: -1,
  limits: { ...NO_MODEL_LIMITS, requestsPerMinute: 60, usdPerMonth: 0.000_05 }, expiresAt: null, createdBy: 'root', ...over,
});

async function made(name: string, over: Partial<NewModelKey> = {}): Promise<ModelKey> {
  const key = await createModelKey(pool, toNew(name, over), 1_000);
  if (key === null) throw new Error(`${name} was not made`);
  return key;
}

describe('virtual keys', () => {
  test('is found by its hash as it was made', async () => {
    const key = await made('first');
    expect(await findLiveModelKey(pool, 'hash-of-first')).toEqual(key);
    expect(key).toMatchObject({ models: ['local', 'qwen'], labels: ['soc'], sensitivity: 2, priority: -1, limits: { ...NO_MODEL_LIMITS, requestsPerMinute: 60, usdPerMonth: 0.000_05 }, revokedAt: null, lastUsedAt: null, revision: 1 });
    expect(await findLiveModelKey(pool, 'hash-of-nothing')).toBeNull();
    expect(await findModelKey(pool, 't', { name: 'first' })).toEqual(key);
    expect(await findModelKey(pool, 'other', { id: key.id })).toBeNull();
  });

  test('opens nothing once it is revoked or over, and can still be looked at', async () => {
    const revoked = await made('revoked');
    expect((await revokeModelKey(pool, 't', revoked.id))?.revokedAt).toBeInstanceOf(Date);
    expect(await revokeModelKey(pool, 't', revoked.id)).toBeNull();
    await made('over', { expiresAt: new Date(Date.now() - 1_000) });
    await made('later', { expiresAt: new Date(Date.now() + 60_000) });
    expect([await findLiveModelKey(pool, 'hash-of-revoked'), await findLiveModelKey(pool, 'hash-of-over')]).toEqual([null, null]);
    expect((await findLiveModelKey(pool, 'hash-of-later'))?.name).toBe('later');
    expect((await findModelKey(pool, 't', { id: revoked.id }))?.name).toBe('revoked');
  });

  test('a name is one key, also of a revoked one, and there are no more than the most', async () => {
    expect(await createModelKey(pool, toNew('revoked', { keyHash: 'another' }), 1_000)).toBeNull();
    expect(await createModelKey(pool, toNew('one-too-many'), 1)).toBeNull();
  });

  test('changes only as it was seen, and never again after it was revoked', async () => {
    const key = await made('changing');
    const changed = await updateModelKey(pool, { ...key, models: null, limits: { ...NO_MODEL_LIMITS, usdTotal: 5 } });
    expect(changed).toMatchObject({ models: null, limits: { ...NO_MODEL_LIMITS, usdTotal: 5 }, revision: 2 });
    expect(await updateModelKey(pool, { ...key, models: [] })).toBeNull();
    await expect(updateModelKey(pool, { ...key, revision: 2, name: 'first' })).rejects.toMatchObject({ code: 'conflict', details: { field: 'name' } });
    await revokeModelKey(pool, 't', key.id);
    expect(await updateModelKey(pool, { ...key, revision: 3 })).toBeNull();
  });

  test('lists the newest first, by owner, and revoked ones only when asked for', async () => {
    const names = async (over: object): Promise<readonly string[]> => (await listModelKeys(pool, { tenantId: 't', withRevoked: false, limit: 100, ...over })).map(({ name }) => name);
    await made('of-bob', { owner: 'bob' });
    expect(await names({})).toEqual(['of-bob', 'later', 'over', 'first']);
    expect(await names({ owner: 'bob', withRevoked: true })).toEqual(['of-bob']);
    expect((await names({ withRevoked: true })).length).toBe(6);
    const [newest] = await listModelKeys(pool, { tenantId: 't', withRevoked: false, limit: 1 });
    expect(await names({ before: newest?.id })).toEqual(['later', 'over', 'first']);
  });

  test('its last use is written once in five minutes', async () => {
    const key = await made('used');
    await touchModelKey(pool, 't', key.id);
    const first = (await findModelKey(pool, 't', { id: key.id }))?.lastUsedAt;
    await touchModelKey(pool, 't', key.id);
    const second = (await findModelKey(pool, 't', { id: key.id }))?.lastUsedAt;
    expect(first).toBeInstanceOf(Date);
    expect(second).toEqual(first);
  });

  test('labels that the owner gave himself hold while he is in their groups; then the key opens nothing', async () => {
    const opens = async (name: string): Promise<boolean> => (await findLiveModelKey(pool, `hash-of-${name}`)) !== null;
    const inGroups = (...groups: string[]) => putUser(pool, { tenantId: 't', userId: 'carol', groups, clearance: 1 });
    await inGroups('soc', 'hr');
    await made('own', { owner: 'carol', labels: ['soc', 'hr'], labelsGranted: false });
    await made('given', { owner: 'carol', labels: ['soc', 'hr'], labelsGranted: true });
    await made('plain', { owner: 'nobody-knows-her', labels: [], labelsGranted: false });
    expect([await opens('own'), await opens('given'), await opens('plain')]).toEqual([true, true, true]);
    await inGroups('soc');
    expect([await opens('own'), await opens('given'), await opens('plain')]).toEqual([false, true, true]);
    await inGroups('soc', 'hr');
    expect(await opens('own')).toBe(true);
  });
});
