import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '@openeaap/kernel';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { findApiKey, putApiKey } from './api-keys.ts';
import { findUser, putUser } from './users.ts';

let database: TestDatabase;
let db: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  db = new Pool({ connectionString: database.url, max: 2 });
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const key = (rest: { readonly keyHash: string; readonly id?: string; readonly userId?: string }) => ({ tenantId: 't', id: rest.id ?? randomIds.newId(), name: 'k', userId: rest.userId ?? 'alice', scopes: ['runs'], keyHash: rest.keyHash });

describe('access', () => {
  test('whom the directory does not know has no groups and reads only what is public', async () => {
    expect(await findUser(db, 't', 'nobody')).toEqual({ tenantId: 't', userId: 'nobody', groups: [], clearance: 1 });
    await putApiKey(db, key({ keyHash: 'h-nobody', userId: 'nobody' }));
    expect(await findApiKey(db, 'h-nobody')).toMatchObject({ principal: { groups: [], clearance: 1 } });
  });

  test('rights come from the directory at each request, not from when the key was made', async () => {
    await putApiKey(db, key({ keyHash: 'h-alice' }));
    await putUser(db, { tenantId: 't', userId: 'alice', groups: ['soc'], clearance: 2 });
    expect(await findApiKey(db, 'h-alice')).toMatchObject({ scopes: ['runs'], principal: { userId: 'alice', groups: ['soc'], clearance: 2 } });
    await putUser(db, { tenantId: 't', userId: 'alice', groups: [], clearance: 1 });
    expect(await findApiKey(db, 'h-alice')).toMatchObject({ principal: { groups: [], clearance: 1 } });
  });

  test('a user of one tenant has no rights in another', async () => {
    await putUser(db, { tenantId: 'other', userId: 'carol', groups: ['admins'], clearance: 3 });
    expect(await findUser(db, 't', 'carol')).toMatchObject({ groups: [], clearance: 1 });
  });

  test('an unknown, a revoked and a replaced key open nothing', async () => {
    const id = randomIds.newId();
    await putApiKey(db, key({ id, keyHash: 'h-old' }));
    await putApiKey(db, key({ id, keyHash: 'h-new' }));
    expect(await findApiKey(db, 'h-old')).toBeNull();
    expect(await findApiKey(db, 'h-new')).toMatchObject({ keyId: id });
    await db.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [id]);
    expect(await findApiKey(db, 'h-new')).toBeNull();
    expect(await findApiKey(db, 'h-unknown')).toBeNull();
  });
});
