import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/** This month and the next two; cheap when they are there. */
const ENSURE_PARTITIONS: Statement = {
  name: 'ensure-audit-partitions',
  text: `SELECT openeaap_ensure_audit_partition((now() AT TIME ZONE 'UTC' + n * interval '1 month')::date) FROM generate_series(0, 2) AS n`,
};

export async function ensureAuditPartitions(db: Queryable): Promise<void> {
  await run(db, ENSURE_PARTITIONS, []);
}
