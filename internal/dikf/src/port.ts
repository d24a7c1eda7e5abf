import type { Sensitivity } from '@openeaap/kernel';

/**
 * What knowledge needs from a store. Every read takes an `AccessFilter`: a call without one
 * does not compile, and the store applies it inside the query, never afterwards.
 */
export interface KnowledgeStore {
  /**
   * Makes `document` the current content of its `(tenantId, source)`, in one transaction. A chunk
   * whose text did not change keeps its id; a chunk that is gone is retired, never deleted,
   * so that lineage of old runs still resolves. Nothing is written when nothing changed.
   */
  readonly replaceDocument: (document: NewDocument) => Promise<ReplaceOutcome>;
  /** Retires the documents whose source begins with `prefix` and is not in `sources`; returns how many. */
  readonly retireMissingDocuments: (request: {
    readonly tenantId: string;
    readonly prefix: string;
    readonly sources: readonly string[];
  }) => Promise<number>;
  /** Best first by BM25 over the chunks that `access` may see. */
  readonly searchChunks: (request: {
    readonly access: AccessFilter;
    readonly terms: readonly string[];
    readonly limit: number;
  }) => Promise<readonly StoredScoredChunk[]>;
  /** How many matching chunks `access` may NOT see. Reveals existence: for operators only. */
  readonly countHiddenChunks: (request: { readonly access: AccessFilter; readonly terms: readonly string[] }) => Promise<number>;
  /** Live and retired chunks by id, less those that `access` may not see. */
  readonly getChunks: (request: { readonly access: AccessFilter; readonly chunkIds: readonly string[] }) => Promise<readonly StoredChunk[]>;
  /** Live documents that `access` may see, by source; `after` is the last source of the page before. */
  readonly listDocuments: (request: {
    readonly access: AccessFilter;
    readonly after: string;
    readonly limit: number;
  }) => Promise<readonly StoredDocument[]>;
}

/** `clearance` 0 sees nothing. Made only by `toAccessFilter`. */
export interface AccessFilter {
  readonly tenantId: string;
  readonly clearance: 0 | Sensitivity;
  readonly groups: readonly string[];
}

export interface NewDocument {
  readonly tenantId: string;
  /** Used only when the source is new. UUID. */
  readonly id: string;
  readonly source: string;
  readonly title: string;
  /** Lower-case hex SHA-256 of the file's text. */
  readonly sha256: string;
  /** Version of chunking and tokenizing: a new one re-indexes unchanged files. */
  readonly pipelineVersion: number;
  /** BCP 47 tag, or empty when unknown. */
  readonly language: string;
  readonly tags: readonly string[];
  readonly sensitivity: Sensitivity;
  /** `*`: every group. */
  readonly accessGroup: string;
  readonly chunks: readonly NewChunk[];
}

export interface NewChunk {
  /** 1, 2, 3 … in the document. */
  readonly ordinal: number;
  readonly headingPath: readonly string[];
  readonly content: string;
  /** Lower-case hex SHA-256 of `content`: with `occurrence`, the identity of the chunk in its document. */
  readonly contentSha256: string;
  /** 1 for the first chunk of this text in the document, 2 for the second … */
  readonly occurrence: number;
  /** Terms with their weighted frequency. */
  readonly terms: ReadonlyMap<string, number>;
  /** Sum of the frequencies: the document length of BM25. */
  readonly length: number;
}

export interface ReplaceOutcome {
  readonly documentId: string;
  readonly changed: boolean;
  readonly keptChunks: number;
  readonly addedChunks: number;
  readonly retiredChunks: number;
}

export interface StoredChunk {
  readonly chunkId: string;
  readonly documentId: string;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly source: string;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  /** When the text left its document; null while it is live. */
  readonly retiredAt: Date | null;
}

export interface StoredScoredChunk extends StoredChunk {
  readonly score: number;
}

export interface StoredDocument {
  readonly id: string;
  readonly source: string;
  readonly title: string;
  readonly sha256: string;
  readonly language: string;
  readonly tags: readonly string[];
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  readonly chunks: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
