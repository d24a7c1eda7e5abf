import type { Pool } from 'pg';
import { countHiddenChunks } from './count-hidden-chunks.ts';
import { getChunks } from './get-chunks.ts';
import type { DocumentRecord, KnowledgeAccess, KnowledgeChunk, KnowledgeDocument, ReplacedDocument } from './knowledge-types.ts';
import { listDocuments } from './list-documents.ts';
import { replaceDocument } from './replace-document.ts';
import { retireMissingDocuments } from './retire-missing-documents.ts';
import { searchChunks } from './search-chunks.ts';

export type * from './knowledge-types.ts';

/** The knowledge tables as functions; errors are PlatformError `unavailable` or `internal`. */
export interface KnowledgeTables {
  readonly replaceDocument: (document: DocumentRecord) => Promise<ReplacedDocument>;
  readonly retireMissingDocuments: (request: {
    readonly tenantId: string;
    readonly prefix: string;
    readonly sources: readonly string[];
  }) => Promise<number>;
  readonly searchChunks: (request: {
    readonly access: KnowledgeAccess;
    readonly terms: readonly string[];
    readonly limit: number;
  }) => Promise<readonly (KnowledgeChunk & { readonly score: number })[]>;
  readonly countHiddenChunks: (request: { readonly access: KnowledgeAccess; readonly terms: readonly string[] }) => Promise<number>;
  readonly getChunks: (request: { readonly access: KnowledgeAccess; readonly chunkIds: readonly string[] }) => Promise<readonly KnowledgeChunk[]>;
  readonly listDocuments: (request: {
    readonly access: KnowledgeAccess;
    readonly after: string;
    readonly limit: number;
  }) => Promise<readonly KnowledgeDocument[]>;
}

/** The store's side of the knowledge room's port. The pool stays the caller's. */
export function createKnowledgeStore(pool: Pool): KnowledgeTables {
  return {
    replaceDocument: (document) => replaceDocument(pool, document),
    retireMissingDocuments: (request) => retireMissingDocuments(pool, request),
    searchChunks: (request) => searchChunks(pool, request),
    countHiddenChunks: (request) => countHiddenChunks(pool, request),
    getChunks: (request) => getChunks(pool, request),
    listDocuments: (request) => listDocuments(pool, request),
  };
}
