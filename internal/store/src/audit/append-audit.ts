import type { Queryable, Statement } from '../database.ts';
import { run, toJsonb } from '../database.ts';
import type { AuditRow } from './audit-row.ts';
import { AUDIT_INSERT_COLUMNS, AUDIT_RECORD, AUDIT_SELECT } from './audit-row.ts';

const APPEND_AUDIT: Statement = {
  name: 'append-audit',
  text: `INSERT INTO audit_logs (${AUDIT_INSERT_COLUMNS}) SELECT ${AUDIT_SELECT} FROM jsonb_to_recordset($1::jsonb) AS l(${AUDIT_RECORD})`,
};

export async function appendAudit(db: Queryable, rows: readonly AuditRow[]): Promise<true> {
  await run(db, APPEND_AUDIT, [toJsonb(rows)]);
  return true;
}
