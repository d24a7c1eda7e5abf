export { createStandardTools } from './create-standard-tools.ts';
export type { KnowledgeChunk, RetrieveKnowledge } from './search-knowledge.ts';
