import type { AgentStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { AgentRow } from '../rows.ts';
import { AGENT_COLUMNS, toAgent } from '../rows.ts';
import type { StoredAgent } from './create-agent.ts';

const LIST_AGENTS: Statement = {
  name: 'list-agents',
  text: `
SELECT ${AGENT_COLUMNS} FROM agents a
WHERE a.tenant_id = $1 AND ($2::text IS NULL OR a.name = $2) AND ($3::text IS NULL OR a.status = $3) AND ($4::uuid IS NULL OR a.id < $4)
ORDER BY a.id DESC LIMIT $5`,
};

export interface AgentFilter {
  readonly tenantId: string;
  readonly name?: string | undefined;
  readonly status?: AgentStatus | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

export async function listAgents(db: Queryable, filter: AgentFilter): Promise<readonly StoredAgent[]> {
  const { rows } = await run<AgentRow>(db, LIST_AGENTS, [filter.tenantId, filter.name, filter.status, filter.before, filter.limit]);
  return rows.map(toAgent);
}
