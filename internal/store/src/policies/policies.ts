import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

const SAVE_POLICY: Statement = {
  name: 'save-policy',
  text: 'INSERT INTO policies (tenant_id, version, files) VALUES ($1, $2, $3::jsonb) ON CONFLICT DO NOTHING',
};

/** Keeps the text of a policy for as long as a run may be pinned to it (R12). */
export async function savePolicy(db: Queryable, tenantId: string, version: string, files: readonly PolicyFile[]): Promise<void> {
  await run(db, SAVE_POLICY, [tenantId, version, toJsonb(files)]);
}

const READ_POLICY: Statement = { name: 'read-policy', text: 'SELECT files FROM policies WHERE tenant_id = $1 AND version = $2' };

export async function readPolicy(db: Queryable, tenantId: string, version: string): Promise<readonly PolicyFile[] | null> {
  const { rows } = await run<{ files: PolicyFile[] }>(db, READ_POLICY, [tenantId, version]);
  return rows[0]?.files ?? null;
}
