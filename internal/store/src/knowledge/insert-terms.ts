import type { Queryable } from '../database.ts';
import { run } from '../database.ts';

/** Rows per statement: bounds the memory of both sides for a book-sized document. */
const BATCH_ROWS = 20_000;

const INSERT_TERMS = {
  name: 'knowledge-insert-terms',
  text: `
INSERT INTO knowledge_terms (tenant_id, chunk_id, term, tf)
SELECT $1, n.chunk_id, n.term, n.tf FROM unnest($2::bigint[], $3::text[], $4::int[]) AS n (chunk_id, term, tf)`,
} as const;

export interface TermRow {
  readonly chunkId: string;
  readonly term: string;
  readonly tf: number;
}

export async function insertTerms(db: Queryable, tenantId: string, rows: readonly TermRow[]): Promise<void> {
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const batch = rows.slice(start, start + BATCH_ROWS);
    await run(db, INSERT_TERMS, [tenantId, batch.map((row) => row.chunkId), batch.map((row) => row.term), batch.map((row) => row.tf)]);
  }
}
