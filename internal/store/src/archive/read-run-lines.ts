import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

/**
 * All rows of a run as JSON text, made by the server so that no number and no time loses a digit.
 * In pages: results of tools may be large. Feedback stays where it is and is not among them.
 */
const READ_RUN_LINES: Statement = {
  name: 'read-run-lines',
  text: `
SELECT part, n, line FROM (
  SELECT 1 AS part, 0::bigint AS n, '{"kind":"run","data":' || to_jsonb(r)::text || '}' AS line FROM runs r WHERE r.tenant_id = $1 AND r.id = $2
  UNION ALL
  SELECT 2, s.no, '{"kind":"step","data":' || to_jsonb(s)::text || '}' FROM run_steps s WHERE s.tenant_id = $1 AND s.run_id = $2
  UNION ALL
  SELECT 3, e.seq, '{"kind":"event","data":' || to_jsonb(e)::text || '}' FROM run_events e WHERE e.tenant_id = $1 AND e.run_id = $2
  UNION ALL
  SELECT 4, row_number() OVER (ORDER BY a.id), '{"kind":"approval","data":' || to_jsonb(a)::text || '}' FROM approvals a WHERE a.tenant_id = $1 AND a.run_id = $2
  UNION ALL
  SELECT 5, row_number() OVER (ORDER BY v.voted_at, v.approval_id, v.round, v.voter, v.verdict), '{"kind":"vote","data":' || to_jsonb(v)::text || '}'
  FROM approval_votes v JOIN approvals a ON a.tenant_id = v.tenant_id AND a.id = v.approval_id WHERE a.tenant_id = $1 AND a.run_id = $2
  UNION ALL
  SELECT 6, u.step_no, '{"kind":"usage","data":' || to_jsonb(u)::text || '}' FROM usage u WHERE u.tenant_id = $1 AND u.run_id = $2
) lines WHERE (part, n) > ($3::int, $4::bigint) ORDER BY part, n LIMIT $5`,
};

/** 200 results of tools at their largest are 13 MB. */
const PAGE_LINES = 200;

/** One JSON object a line: `{"kind": "run" | "step" | "event" | "approval" | "vote" | "usage", "data": the row}`. */
export async function* readRunLines(db: Queryable, tenantId: string, runId: string): AsyncGenerator<string> {
  let after = { part: 0, n: '0' };
  for (;;) {
    const { rows } = await run<{ part: number; n: string; line: string }>(db, READ_RUN_LINES, [tenantId, runId, after.part, after.n, PAGE_LINES]);
    for (const row of rows) yield row.line;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_LINES) return;
    after = last;
  }
}
