import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { AgentRow } from '../rows.ts';
import { AGENT_COLUMNS, toAgent } from '../rows.ts';
import type { StoredAgent } from './create-agent.ts';

/** By id, by name and version, or by name alone: the version that was published last. */
const FIND_AGENT: Statement = {
  name: 'find-agent',
  text: `
SELECT ${AGENT_COLUMNS} FROM agents a
WHERE a.tenant_id = $1 AND ($2::uuid IS NULL OR a.id = $2) AND ($3::text IS NULL OR a.name = $3) AND ($4::text IS NULL OR a.version = $4)
  AND ($2::uuid IS NOT NULL OR $4::text IS NOT NULL OR a.status = 'published')
ORDER BY a.published_at DESC NULLS LAST, a.id DESC LIMIT 1`,
};

export interface AgentReference {
  readonly id?: string;
  readonly name?: string;
  readonly version?: string;
}

export async function findAgent(db: Queryable, tenantId: string, reference: AgentReference): Promise<StoredAgent | null> {
  const { rows } = await run<AgentRow>(db, FIND_AGENT, [tenantId, reference.id, reference.name, reference.version]);
  return rows[0] === undefined ? null : toAgent(rows[0]);
}
