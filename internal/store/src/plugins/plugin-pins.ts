import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const LIST_PINS: Statement = { name: 'list-plugin-pins', text: 'SELECT tool, hash FROM plugin_pins WHERE tenant_id = $1 AND plugin = $2' };

/** What is seen first stays; only a person changes it. */
const PIN_TOOLS: Statement = {
  name: 'pin-tools',
  text: `
INSERT INTO plugin_pins (tenant_id, plugin, tool, hash)
SELECT $1::varchar, $2::varchar, tool, hash FROM jsonb_to_recordset($3::jsonb) AS p(tool varchar, hash varchar)
ON CONFLICT (tenant_id, plugin, tool) DO NOTHING`,
};

const ACCEPT_TOOLS: Statement = {
  name: 'accept-tools',
  text: `
INSERT INTO plugin_pins (tenant_id, plugin, tool, hash, accepted_by)
SELECT $1::varchar, $2::varchar, tool, hash, $4::varchar FROM jsonb_to_recordset($3::jsonb) AS p(tool varchar, hash varchar)
ON CONFLICT (tenant_id, plugin, tool) DO UPDATE SET hash = EXCLUDED.hash, accepted_by = EXCLUDED.accepted_by, accepted_at = now()`,
};

export type ToolPins = Readonly<Record<string, string>>;

/** Hashes of what was accepted of a plugin's tools, by name. */
export async function listPluginPins(db: Queryable, tenantId: string, plugin: string): Promise<ToolPins> {
  const { rows } = await run<{ tool: string; hash: string }>(db, LIST_PINS, [tenantId, plugin]);
  return Object.fromEntries(rows.map(({ tool, hash }) => [tool, hash]));
}

/** Keeps what is seen for the first time. */
export async function pinTools(db: Queryable, tenantId: string, plugin: string, pins: ToolPins): Promise<void> {
  await run(db, PIN_TOOLS, [tenantId, plugin, toRecords(pins)]);
}

/** A person has read these tools as they are now. */
export async function acceptTools(db: Queryable, tenantId: string, plugin: string, pins: ToolPins, by: string): Promise<void> {
  await run(db, ACCEPT_TOOLS, [tenantId, plugin, toRecords(pins), by]);
}

const toRecords = (pins: ToolPins): string => JSON.stringify(Object.entries(pins).map(([tool, hash]) => ({ tool, hash })));
