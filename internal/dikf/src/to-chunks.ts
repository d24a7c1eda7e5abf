import { createHash } from 'node:crypto';
import { chunkMarkdown } from './chunk-markdown.ts';
import type { NewChunk } from './port.ts';
import { tokenize } from './tokenize.ts';

/** Raise it when chunking, tokenizing or weights change: unchanged files are then indexed anew. */
export const PIPELINE_VERSION = 1;

/** A word in a title or heading says more about a chunk than the same word in its text. */
const TITLE_WEIGHT = 2;

/** Pure: body of a document to the chunks that the store keeps. */
export function toChunks(body: string, about: { readonly title: string; readonly tags: readonly string[] }): readonly NewChunk[] {
  const seen = new Map<string, number>();
  return chunkMarkdown(body).map(({ headingPath, content }, index) => {
    const contentSha256 = sha256(content);
    const occurrence = (seen.get(contentSha256) ?? 0) + 1;
    seen.set(contentSha256, occurrence);
    const terms = countTerms([about.title, ...headingPath, ...about.tags].join('\n'), content);
    const length = [...terms.values()].reduce((sum, tf) => sum + tf, 0);
    return { ordinal: index + 1, headingPath, content, contentSha256, occurrence, terms, length };
  });
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function countTerms(heading: string, content: string): ReadonlyMap<string, number> {
  const terms = new Map<string, number>();
  const add = (term: string, weight: number): void => void terms.set(term, (terms.get(term) ?? 0) + weight);
  // Each title term counts once however often path and title repeat it.
  for (const term of new Set(tokenize(heading))) add(term, TITLE_WEIGHT);
  for (const term of tokenize(content)) add(term, 1);
  return terms;
}
