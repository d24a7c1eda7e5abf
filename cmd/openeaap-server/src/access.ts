import { createHash, randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import type { Principal } from '@openeaap/kernel';
import type { Caller, Scope } from '@openeaap/http';
import { isScope } from '@openeaap/http';
import { findApiKey, putApiKey, putUser } from '@openeaap/store';

/** One tenant until an installation has an identity provider that names more. */
export const TENANT = 'default';

/** `oea_` and 32 random bytes: recognisable to secret scanners, beyond guessing. */
export const newApiKey = (): string => `oea_${randomBytes(32).toString('base64url')}`;

const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex');

export async function authenticate(pool: Pool, key: string): Promise<Caller | null> {
  const holder = await findApiKey(pool, hashKey(key));
  if (holder === null) return null;
  return { principal: holder.principal, keyId: holder.keyId, scopes: holder.scopes.filter(isScope) };
}

export interface KeyGrant {
  readonly id: string;
  readonly name: string;
  readonly userId: string;
  readonly scopes: readonly Scope[];
}

export async function grantKey(pool: Pool, grant: KeyGrant, key: string): Promise<void> {
  await putApiKey(pool, { tenantId: TENANT, id: grant.id, name: grant.name, keyHash: hashKey(key), userId: grant.userId, scopes: grant.scopes });
}

export async function putUsers(pool: Pool, users: readonly Principal[]): Promise<void> {
  for (const user of users) await putUser(pool, user);
}
