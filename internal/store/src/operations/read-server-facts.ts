import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const READ_SERVER_FACTS: Statement = {
  name: 'read-server-facts',
  text: `
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num,
  current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, current_setting('full_page_writes') AS full_page_writes,
  pg_is_in_recovery() AS is_standby,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS usable_connections,
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
  to_regclass('audit_logs_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) IS NOT NULL AS has_audit_partition,
  to_regclass('audit_logs_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM')) IS NOT NULL AS has_next_audit_partition,
  extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' - (now() AT TIME ZONE 'UTC'))::float8 / 86400 AS month_ends_in_days`,
};

export interface ServerFacts {
  readonly version: string;
  /** As PostgreSQL counts: 150004 is 15.4. */
  readonly versionNumber: number;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  readonly isStandby: boolean;
  /** Without those that are kept for superusers. */
  readonly usableConnections: number;
  /** Of all databases of the server. */
  readonly connections: number;
  readonly hasAuditPartition: boolean;
  readonly hasNextAuditPartition: boolean;
  readonly monthEndsInDays: number;
}

export async function readServerFacts(db: Queryable): Promise<ServerFacts> {
  const { rows } = await run<Record<'version' | 'fsync' | 'synchronous_commit' | 'full_page_writes', string> & Record<'version_num' | 'usable_connections' | 'connections' | 'month_ends_in_days', number> & Record<'is_standby' | 'has_audit_partition' | 'has_next_audit_partition', boolean>>(db, READ_SERVER_FACTS, []);
  const row = rows[0];
  if (row === undefined) throw new Error('A SELECT without FROM gave no row.');
  return {
    version: row.version,
    versionNumber: row.version_num,
    fsync: row.fsync,
    synchronousCommit: row.synchronous_commit,
    fullPageWrites: row.full_page_writes,
    isStandby: row.is_standby,
    usableConnections: row.usable_connections,
    connections: row.connections,
    hasAuditPartition: row.has_audit_partition,
    hasNextAuditPartition: row.has_next_audit_partition,
    monthEndsInDays: row.month_ends_in_days,
  };
}
