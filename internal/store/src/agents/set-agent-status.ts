import type { AgentStatus } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** Publishing also moves the version to the front, which makes publishing an older one the rollback. */
const SET_AGENT_STATUS: Statement = {
  name: 'set-agent-status',
  text: `
UPDATE agents SET status = $3::text, updated_at = now(), published_at = CASE WHEN $3::text = 'published' THEN clock_timestamp() ELSE published_at END
WHERE tenant_id = $1 AND id = $2`,
};

export async function setAgentStatus(db: Queryable, tenantId: string, agentId: string, status: AgentStatus): Promise<boolean> {
  const { rowCount } = await run(db, SET_AGENT_STATUS, [tenantId, agentId, status]);
  return rowCount === 1;
}
