import type { Sensitivity } from '@openeaap/kernel';
import type { KnowledgeChunk } from './knowledge-types.ts';

export interface ChunkRow {
  readonly chunk_id: string;
  readonly document_id: string;
  readonly title: string;
  readonly heading_path: string[];
  readonly content: string;
  readonly source: string;
  readonly sensitivity_level: Sensitivity;
  readonly access_group_id: string;
  readonly retired_at: Date | null;
}

/** Columns of a `ChunkRow`, of a chunk `c` and its document `d`. */
export const CHUNK_COLUMNS = `c.chunk_id, c.document_id, d.title, c.heading_path, c.content, d.source, c.sensitivity_level, c.access_group_id, c.retired_at`;

export function toKnowledgeChunk(row: ChunkRow): KnowledgeChunk {
  return {
    chunkId: row.chunk_id,
    documentId: row.document_id,
    title: row.title,
    headingPath: row.heading_path,
    content: row.content,
    source: row.source,
    sensitivity: row.sensitivity_level,
    accessGroup: row.access_group_id,
    retiredAt: row.retired_at,
  };
}
