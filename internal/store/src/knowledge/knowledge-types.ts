import type { Sensitivity } from '@openeaap/kernel';

/** What the statements of this folder take and give; the knowledge room's port has the same shapes. */
export interface KnowledgeAccess {
  readonly tenantId: string;
  /** 0 sees nothing. */
  readonly clearance: 0 | Sensitivity;
  readonly groups: readonly string[];
}

export interface DocumentRecord {
  readonly tenantId: string;
  readonly id: string;
  readonly source: string;
  readonly title: string;
  readonly sha256: string;
  readonly pipelineVersion: number;
  readonly language: string;
  readonly tags: readonly string[];
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  readonly chunks: readonly ChunkRecord[];
}

export interface ChunkRecord {
  readonly ordinal: number;
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly contentSha256: string;
  readonly occurrence: number;
  readonly terms: ReadonlyMap<string, number>;
  readonly length: number;
}

export interface ReplacedDocument {
  readonly documentId: string;
  readonly changed: boolean;
  readonly keptChunks: number;
  readonly addedChunks: number;
  readonly retiredChunks: number;
}

export interface KnowledgeChunk {
  readonly chunkId: string;
  readonly documentId: string;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly source: string;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  readonly retiredAt: Date | null;
}

export interface KnowledgeDocument {
  readonly id: string;
  readonly source: string;
  readonly title: string;
  readonly sha256: string;
  readonly language: string;
  readonly tags: readonly string[];
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  /** Live chunks. */
  readonly chunks: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
