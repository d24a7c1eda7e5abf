import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';
import type { AuditRow } from './audit-row.ts';
import { insertAudit, toAuditJson } from './audit-row.ts';

const APPEND_AUDIT: Statement = { name: 'append-audit', text: insertAudit('$1') };

export async function appendAudit(db: Queryable, rows: readonly AuditRow[]): Promise<true> {
  await run(db, APPEND_AUDIT, [toAuditJson(rows)]);
  return true;
}
