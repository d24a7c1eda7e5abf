import type { JsonObject } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const LIST_PLUGINS: Statement = { name: 'list-plugins', text: 'SELECT name, declaration, generation FROM plugins WHERE tenant_id = $1 ORDER BY name' };

export interface StoredPlugin {
  readonly name: string;
  /** null: declared in the file; only its restarts are counted here. */
  readonly declaration: JsonObject | null;
  readonly generation: number;
}

/** All of them: there are never more than a few hundred. */
export async function listPlugins(db: Queryable, tenantId: string): Promise<readonly StoredPlugin[]> {
  const { rows } = await run<{ name: string; declaration: JsonObject | null; generation: number }>(db, LIST_PLUGINS, [tenantId]);
  return rows;
}
