import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** What was accepted of its tools goes with it: whoever comes next under its name is a stranger. */
const DELETE_PLUGIN: Statement = {
  name: 'delete-plugin',
  text: `
WITH pins AS (DELETE FROM plugin_pins WHERE tenant_id = $1 AND plugin = $2)
DELETE FROM plugins WHERE tenant_id = $1 AND name = $2 AND declaration IS NOT NULL`,
};

/** false: it was not there any more. */
export async function deletePlugin(db: Queryable, tenantId: string, name: string): Promise<boolean> {
  const { rowCount } = await run(db, DELETE_PLUGIN, [tenantId, name]);
  return rowCount === 1;
}
