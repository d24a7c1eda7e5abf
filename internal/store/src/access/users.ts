import type { Principal } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import { toSensitivity } from '../rows.ts';

const FIND_USER: Statement = { name: 'find-user', text: 'SELECT groups, clearance FROM users WHERE tenant_id = $1 AND user_id = $2' };

/** A user whom the directory does not know has no groups and reads only what is public. */
export async function findUser(db: Queryable, tenantId: string, userId: string): Promise<Principal> {
  const { rows } = await run<{ groups: string[]; clearance: number }>(db, FIND_USER, [tenantId, userId]);
  const row = rows[0];
  return { tenantId, userId, groups: row?.groups ?? [], clearance: toSensitivity(row?.clearance ?? 1) };
}

const PUT_USER: Statement = {
  name: 'put-user',
  text: `
INSERT INTO users (tenant_id, user_id, groups, clearance) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET groups = EXCLUDED.groups, clearance = EXCLUDED.clearance`,
};

export async function putUser(db: Queryable, user: Principal): Promise<void> {
  await run(db, PUT_USER, [user.tenantId, user.userId, user.groups, user.clearance]);
}
