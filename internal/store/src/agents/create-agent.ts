import type { Agent, AgentConfiguration } from '@openeaap/kernel';
import { toCanonicalJson } from '@openeaap/kernel';
import type { JsonValue } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { AgentRow } from '../rows.ts';
import { AGENT_COLUMNS, toAgent } from '../rows.ts';

const CREATE_AGENT: Statement = {
  name: 'create-agent',
  text: `INSERT INTO agents (tenant_id, id, name, version, configuration) VALUES ($1, $2, $3, $4, $5::jsonb) ON CONFLICT (tenant_id, name, version) DO NOTHING`,
};

const FIND_VERSION: Statement = {
  name: 'find-agent-version',
  text: `SELECT ${AGENT_COLUMNS} FROM agents a WHERE a.tenant_id = $1 AND a.name = $2 AND a.version = $3`,
};

export type StoredAgent = Agent & { readonly current: boolean };
export type AgentCreation = { readonly kind: 'created' | 'unchanged' | 'differs'; readonly agent: StoredAgent };

/** A version is immutable: the same name and version with another configuration is `differs` and changes nothing. */
export async function createAgent(
  db: Queryable,
  agent: { readonly tenantId: string; readonly id: string; readonly name: string; readonly version: string; readonly configuration: AgentConfiguration },
): Promise<AgentCreation> {
  const { rowCount } = await run(db, CREATE_AGENT, [agent.tenantId, agent.id, agent.name, agent.version, toJsonb(agent.configuration)]);
  const { rows } = await run<AgentRow>(db, FIND_VERSION, [agent.tenantId, agent.name, agent.version]);
  const stored = toAgent(rows[0] as AgentRow);
  if (rowCount === 1) return { kind: 'created', agent: stored };
  const same = toCanonicalJson(stored.configuration as unknown as JsonValue) === toCanonicalJson(agent.configuration as unknown as JsonValue);
  return { kind: same ? 'unchanged' : 'differs', agent: stored };
}
