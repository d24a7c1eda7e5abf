import type { Queryable } from '../database.ts';
import { addSemantic } from './add-semantic.ts';
import { forgetSemantic } from './forget-semantic.ts';
import { loadSemantic } from './load-semantic.ts';
import { searchSemantic } from './search-semantic.ts';
import type { SemanticEntry, SemanticMatch, SemanticPlace, SemanticQuery } from './semantic-types.ts';

export type * from './semantic-types.ts';

/** The store's side of the gateway's vector store. Errors are PlatformError `unavailable` or `internal`. */
export interface SemanticTables {
  readonly search: (query: SemanticQuery) => Promise<readonly SemanticMatch[]>;
  readonly add: (entry: SemanticEntry) => Promise<void>;
  /** null: it is gone. */
  readonly load: (place: SemanticPlace) => Promise<Uint8Array | null>;
  readonly close: () => Promise<void>;
}

/** So often one `add` also forgets what is too old or too much. */
const FORGET_EVERY = 64;

/** The pool stays the caller's. */
export function createSemanticStore(db: Queryable, { maxEntries }: { readonly maxEntries: number }): SemanticTables {
  let added = 0;
  return {
    search: (query) => searchSemantic(db, query),
    add: async (entry) => {
      await addSemantic(db, entry);
      if ((added += 1) % FORGET_EVERY === 0) await forgetSemantic(db, { nowMs: entry.nowMs, maxEntries });
    },
    load: (place) => loadSemantic(db, place),
    close: async () => undefined,
  };
}
