import type { Pool } from 'pg';
import { deleteTerms } from './delete-terms.ts';
import { inTransaction } from './in-transaction.ts';
import { lockKnowledge } from './lock-knowledge.ts';
import { retireChunksOf } from './retire-chunks-of.ts';
import { retireDocuments } from './retire-documents.ts';
import { shiftStatistics } from './shift-statistics.ts';

/** Takes documents whose file is gone out of every search; lineage still resolves. Answers how many. */
export async function retireMissingDocuments(
  pool: Pool,
  request: { readonly tenantId: string; readonly prefix: string; readonly sources: readonly string[] },
): Promise<number> {
  return await inTransaction(pool, async (db) => {
    await lockKnowledge(db, request.tenantId);
    const ids = await retireDocuments(db, request);
    for (const id of ids) {
      const document = { tenantId: request.tenantId, id };
      await shiftStatistics(db, document, -1);
      await deleteTerms(db, document);
      await retireChunksOf(db, document);
    }
    return ids.length;
  });
}
