import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** One look into the index of ended runs for each tenant. */
const READ_OLDEST_ENDED_RUN: Statement = {
  name: 'read-oldest-ended-run',
  text: `
SELECT extract(epoch FROM now() - min(t.finished_at))::float8 * 1000 AS age_ms
FROM (SELECT DISTINCT tenant_id FROM agents) a
CROSS JOIN LATERAL (SELECT finished_at FROM runs r WHERE r.tenant_id = a.tenant_id AND r.status IN ('completed', 'failed', 'cancelled') ORDER BY finished_at LIMIT 1) t`,
};

/** How long ago the oldest run that is still here ended; null: none has. */
export async function readOldestEndedRun(db: Queryable): Promise<number | null> {
  const { rows } = await run<{ age_ms: number | null }>(db, READ_OLDEST_ENDED_RUN, []);
  return rows[0]?.age_ms ?? null;
}
