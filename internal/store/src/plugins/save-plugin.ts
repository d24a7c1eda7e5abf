import type { JsonObject } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';

/** The limit is looked at without a lock: requests at the same moment may pass it by a few. */
const SAVE_PLUGIN: Statement = {
  name: 'save-plugin',
  text: `
INSERT INTO plugins (tenant_id, name, declaration, created_by)
SELECT $1::varchar, $2::varchar, $3::jsonb, $4::varchar
WHERE (SELECT count(*) FROM plugins WHERE tenant_id = $1::varchar AND declaration IS NOT NULL AND name <> $2::varchar) < $5::int
ON CONFLICT (tenant_id, name) DO UPDATE SET declaration = EXCLUDED.declaration, updated_at = now()`,
};

const RESTART_PLUGIN: Statement = {
  name: 'restart-plugin',
  text: `
INSERT INTO plugins (tenant_id, name, created_by, generation) VALUES ($1, $2, $3, 2)
ON CONFLICT (tenant_id, name) DO UPDATE SET generation = plugins.generation + 1, updated_at = now()`,
};

/** A new declaration, or another one for the same name. false: the tenant has as many plugins as it may. */
export async function savePlugin(db: Queryable, plugin: { readonly tenantId: string; readonly name: string; readonly declaration: JsonObject; readonly by: string; readonly most: number }): Promise<boolean> {
  const { rowCount } = await run(db, SAVE_PLUGIN, [plugin.tenantId, plugin.name, toJsonb(plugin.declaration), plugin.by, plugin.most]);
  return rowCount === 1;
}

/** Every node replaces its copies, wherever the plugin is declared. */
export async function restartPlugin(db: Queryable, tenantId: string, name: string, by: string): Promise<void> {
  await run(db, RESTART_PLUGIN, [tenantId, name, by]);
}
