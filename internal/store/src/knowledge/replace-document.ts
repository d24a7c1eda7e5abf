import type { Pool } from 'pg';
import type { Queryable } from '../database.ts';
import { deleteTerms } from './delete-terms.ts';
import { findDocument } from './find-document.ts';
import { inTransaction } from './in-transaction.ts';
import type { TermRow } from './insert-terms.ts';
import { insertTerms } from './insert-terms.ts';
import type { DocumentRecord, ReplacedDocument } from './knowledge-types.ts';
import { lockKnowledge } from './lock-knowledge.ts';
import { retireChunks } from './retire-chunks.ts';
import { shiftStatistics } from './shift-statistics.ts';
import type { StoredChunkId } from './upsert-chunks.ts';
import { upsertChunks } from './upsert-chunks.ts';
import { upsertDocument } from './upsert-document.ts';

/** One transaction: a search sees the document before or after, never half of it. */
export async function replaceDocument(pool: Pool, document: DocumentRecord): Promise<ReplacedDocument> {
  return await inTransaction(pool, async (db) => {
    await lockKnowledge(db, document.tenantId);
    const found = await findDocument(db, document);
    if (found?.isSame === true) {
      return { documentId: found.id, changed: false, keptChunks: document.chunks.length, addedChunks: 0, retiredChunks: 0 };
    }
    return await write(db, { ...document, id: found?.id ?? document.id });
  });
}

async function write(db: Queryable, document: DocumentRecord): Promise<ReplacedDocument> {
  await shiftStatistics(db, document, -1);
  await deleteTerms(db, document);
  await upsertDocument(db, document);
  const retiredChunks = await retireChunks(db, document);
  const ids = await upsertChunks(db, document);
  await insertTerms(db, document.tenantId, toTermRows(document, ids));
  await shiftStatistics(db, document, 1);
  const addedChunks = ids.filter((id) => id.isNew).length;
  return { documentId: document.id, changed: true, keptChunks: ids.length - addedChunks, addedChunks, retiredChunks };
}

function toTermRows(document: DocumentRecord, ids: readonly StoredChunkId[]): readonly TermRow[] {
  const idOf = new Map(ids.map((id) => [id.ordinal, id.chunkId]));
  return document.chunks.flatMap((chunk) => {
    const chunkId = idOf.get(chunk.ordinal);
    return chunkId === undefined ? [] : [...chunk.terms].map(([term, tf]) => ({ chunkId, term, tf }));
  });
}
