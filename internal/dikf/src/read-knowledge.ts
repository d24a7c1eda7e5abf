import type { Principal } from '@openeaap/kernel';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import { toAccessFilter } from './access-filter.ts';
import { KNOWLEDGE_LIMITS } from './limits.ts';
import type { KnowledgeStore, StoredChunk, StoredDocument } from './port.ts';

export interface ReadKnowledge {
  /**
   * The chunks that lineage names, live or retired, in the order of `chunkIds`. An id that does not
   * exist and one that `principal` may not see are left out alike.
   */
  readonly getChunks: (tenantId: string, principal: Principal, chunkIds: readonly string[]) => Promise<readonly StoredChunk[]>;
  /** A page of the documents that `principal` may see, by source; `after` is the last source of the page before. */
  readonly listDocuments: (request: {
    readonly tenantId: string;
    readonly principal: Principal;
    readonly after?: string;
    readonly limit?: number;
  }) => Promise<readonly StoredDocument[]>;
}

/** Errors: `invalid_input` (an id that is no number, too many ids, a bad limit), `permission_denied`. */
export function createReadKnowledge(store: Pick<KnowledgeStore, 'getChunks' | 'listDocuments'>): ReadKnowledge {
  return {
    getChunks: async (tenantId, principal, chunkIds) => {
      const access = toAccessFilter(tenantId, principal);
      const ids = [...new Set(chunkIds)];
      checkChunkIds(ids);
      const found = new Map((await store.getChunks({ access, chunkIds: ids })).map((chunk) => [chunk.chunkId, chunk]));
      return ids.flatMap((id) => found.get(id) ?? []);
    },
    listDocuments: async ({ tenantId, principal, after = '', limit = LIMITS.pageSize }) => {
      const access = toAccessFilter(tenantId, principal);
      if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.pageSizeCeiling) {
        throw new PlatformError('invalid_input', `limit is a whole number from 1 to ${LIMITS.pageSizeCeiling}.`, { details: { field: 'limit' } });
      }
      return await store.listDocuments({ access, after, limit });
    },
  };
}

function checkChunkIds(ids: readonly string[]): void {
  if (ids.length > KNOWLEDGE_LIMITS.chunkIdsPerCall) {
    throw new PlatformError('invalid_input', `At most ${KNOWLEDGE_LIMITS.chunkIdsPerCall} chunk ids per call.`, { details: { field: 'chunk_ids' } });
  }
  // 18 digits always fit a BIGINT.
  if (!ids.every((id) => /^\d{1,18}$/.test(id))) {
    throw new PlatformError('invalid_input', 'A chunk id is a whole number.', { details: { field: 'chunk_ids' } });
  }
}
