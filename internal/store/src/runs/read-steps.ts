import type { Step } from '@openeaap/kernel';
import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { StepRow } from '../rows.ts';
import { toStep } from '../rows.ts';

const READ_STEPS: Statement = {
  name: 'read-steps',
  text: 'SELECT * FROM run_steps WHERE tenant_id = $1 AND run_id = $2 ORDER BY no',
};

/** The journal of a run, in order. */
export async function readSteps(db: Queryable, tenantId: string, runId: string): Promise<readonly Step[]> {
  const { rows } = await run<StepRow>(db, READ_STEPS, [tenantId, runId]);
  return rows.map(toStep);
}
