/** Limits of this room, each with its unit. */
export const KNOWLEDGE_LIMITS = {
  /** One Markdown file. An SOP is a few kilobytes; a handbook a few hundred. */
  documentBytes: 4_194_304,
  /** Files read by one call of `ingestFolder`. */
  filesPerFolder: 10_000,
  folderDepth: 16,
  chunksPerDocument: 10_000,
  /** About 300 English or 800 Chinese tokens: five chunks fit any context window. */
  chunkChars: 1_200,
  /** One index term; longer words carry no meaning that a query would repeat. */
  termChars: 128,
  queryChars: 4_096,
  /** Distinct terms of one query; the rest of a very long query adds cost, not relevance. */
  queryTerms: 128,
  topK: 5,
  topKCeiling: 50,
  titleChars: 256,
  /** `access_group_id` of the document's section 15.2. */
  accessGroupChars: 64,
  tags: 32,
  tagChars: 64,
  sourceChars: 1_024,
  /** Chunks asked for by id in one call; a run cites far fewer. */
  chunkIdsPerCall: 500,
} as const;
