import { ENTRY_OVERHEAD_BYTES } from './kept-answer.ts';
import { createOldestFirst } from './oldest-first.ts';
import { cosine } from './vector-store.ts';
import type { VectorEntry, VectorStore } from './vector-store.ts';

/** Whatever the number of entries. */
const BYTES_MAX = 64 * 1024 * 1024;
/** Looked at in one search, the newest first: some 2 ms of 1,536 numbers each. */
const SCAN_MAX = 2_000;

/** In the process: an exact scan of the scope. Bounded by entries and bytes; the oldest go first. */
export function createMemoryVectors({ maxEntries, maxBytes = BYTES_MAX }: { readonly maxEntries: number; readonly maxBytes?: number }): VectorStore {
  const scopes = new Map<string, Map<string, VectorEntry>>();
  const entries = createOldestFirst<VectorEntry>({
    maxEntries,
    maxBytes,
    bytesOf: ({ vector, answer }) => vector.byteLength + answer.byteLength + ENTRY_OVERHEAD_BYTES,
    onRemoved: (entry) => {
      const scope = scopes.get(entry.scope);
      scope?.delete(entry.id);
      if (scope?.size === 0) scopes.delete(entry.scope);
    },
  });
  return {
    search: async ({ tenantId, scope, vector, limit, least, nowMs }) => {
      const newest = [...(scopes.get(scope)?.values() ?? [])].reverse().slice(0, SCAN_MAX);
      const near = newest.flatMap((entry) => {
        if (entry.tenantId !== tenantId || entry.untilMs <= nowMs) return [];
        const similarity = cosine(entry.vector, vector);
        return similarity >= least ? [{ id: entry.id, similarity, facts: entry.facts }] : [];
      });
      return near.sort((a, b) => b.similarity - a.similarity).slice(0, limit);
    },
    add: async (entry) => {
      if (!entries.set(entry.id, entry)) return;
      const scope = scopes.get(entry.scope) ?? new Map<string, VectorEntry>();
      scopes.set(entry.scope, scope.set(entry.id, entry));
    },
    load: async ({ tenantId, scope, id }) => {
      const entry = entries.get(id);
      return entry?.tenantId === tenantId && entry.scope === scope ? entry.answer : null;
    },
    close: async () => {
      entries.clear();
      scopes.clear();
    },
  };
}
