import type { LineageRef, Principal, Sensitivity } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { toAccessFilter } from './access-filter.ts';
import { KNOWLEDGE_LIMITS } from './limits.ts';
import type { KnowledgeStore, StoredChunk } from './port.ts';
import { tokenize } from './tokenize.ts';

export interface RetrieveRequest {
  readonly tenantId: string;
  /** On whose behalf: only what this principal may read is searched. */
  readonly principal: Principal;
  readonly query: string;
  /** 1 to 50; 5 if absent. */
  readonly topK?: number;
  /** For operators only: a count of hidden matches reveals that they exist. */
  readonly revealHiddenCount?: boolean;
}

export interface RetrievedChunk {
  readonly chunkId: string;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly source: string;
  /** BM25, above 0; comparable within one answer only. */
  readonly score: number;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
}

export interface RetrieveResult {
  /** Best first; the caller's rights were applied inside the search. */
  readonly chunks: readonly RetrievedChunk[];
  /** Present only with `revealHiddenCount`. */
  readonly hidden?: number;
}

export type Retrieve = (request: RetrieveRequest) => Promise<RetrieveResult>;

/**
 * Full-text search under the caller's rights. A query without any word finds nothing.
 * Errors: `invalid_input` (query too long, `topK` out of range), `permission_denied` (other tenant).
 */
export function createRetrieve(store: Pick<KnowledgeStore, 'searchChunks' | 'countHiddenChunks'>): Retrieve {
  return async (request) => {
    const access = toAccessFilter(request.tenantId, request.principal);
    const limit = checkTopK(request.topK ?? KNOWLEDGE_LIMITS.topK);
    const terms = toQueryTerms(request.query);
    const found = terms.length === 0 ? [] : await store.searchChunks({ access, terms, limit });
    const chunks = found.map((chunk) => ({ ...toRetrieved(chunk), score: chunk.score }));
    if (request.revealHiddenCount !== true) return { chunks };
    return { chunks, hidden: terms.length === 0 ? 0 : await store.countHiddenChunks({ access, terms }) };
  };
}

/** What a run records of a chunk that it used. */
export function toLineage(chunk: RetrievedChunk): LineageRef {
  const title = [chunk.title, ...chunk.headingPath.filter((heading) => heading !== chunk.title)].join(' › ');
  return { chunkId: chunk.chunkId, title, source: chunk.source, score: chunk.score, sensitivity: chunk.sensitivity };
}

function toQueryTerms(query: string): readonly string[] {
  if (query.length > KNOWLEDGE_LIMITS.queryChars) {
    throw new PlatformError('invalid_input', `A query has at most ${KNOWLEDGE_LIMITS.queryChars} characters.`, { details: { field: 'query' } });
  }
  return [...new Set(tokenize(query))].slice(0, KNOWLEDGE_LIMITS.queryTerms);
}

function checkTopK(topK: number): number {
  if (Number.isInteger(topK) && topK >= 1 && topK <= KNOWLEDGE_LIMITS.topKCeiling) return topK;
  throw new PlatformError('invalid_input', `top_k is a whole number from 1 to ${KNOWLEDGE_LIMITS.topKCeiling}.`, { details: { field: 'top_k' } });
}

function toRetrieved(chunk: StoredChunk): Omit<RetrievedChunk, 'score'> {
  const { chunkId, title, headingPath, content, source, sensitivity, accessGroup } = chunk;
  return { chunkId, title, headingPath, content, source, sensitivity, accessGroup };
}
