import type { ToolContext, ToolOutcome } from '@openeaap/adapter';
import type { JsonObject, LineageRef, Principal, Sensitivity, ToolSpec } from '@openeaap/kernel';
import { LIMITS, PlatformError, toPlatformError } from '@openeaap/kernel';

/** What this tool needs of the knowledge room: a search that applies the principal's rights itself. */
export type RetrieveKnowledge = (request: {
  readonly tenantId: string;
  readonly principal: Principal;
  readonly query: string;
  readonly topK: number;
}) => Promise<{ readonly chunks: readonly KnowledgeChunk[] }>;

export interface KnowledgeChunk {
  readonly chunkId: string;
  readonly title: string;
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly source: string;
  readonly score: number;
  readonly sensitivity: Sensitivity;
}

const QUERY_CHARS = 4_096;
const TOP_K = 5;
const MAX_TOP_K = 20;
/** Leaves room for the frame around the passages, so that nothing is cut after us. */
const OUTPUT_BYTES = LIMITS.toolResultBytes - 4_096;

export const SEARCH_KNOWLEDGE: ToolSpec = {
  name: 'search_knowledge',
  version: '1.0.0',
  description:
    'Searches the procedures (SOPs) and documents that the user may read, in Chinese or English, and returns the best passages. Cite chunk_id for what you conclude from them. 检索知识库与处置规程。',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: {
      query: { type: 'string', description: 'What to look for: a question or keywords.', minLength: 1, maxLength: QUERY_CHARS },
      top_k: { type: 'integer', description: 'How many passages at most.', minimum: 1, maximum: MAX_TOP_K, default: TOP_K },
    },
    required: ['query'],
    additionalProperties: false,
  },
  outputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: {
      chunks: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            chunk_id: { type: 'string' },
            title: { type: 'string' },
            content: { type: 'string' },
            score: { type: 'number', description: 'Comparable within one answer only.' },
            source: { type: 'string' },
          },
          required: ['chunk_id', 'title', 'content', 'score', 'source'],
          additionalProperties: false,
        },
      },
    },
    required: ['chunks'],
    additionalProperties: false,
  },
  effect: 'read',
  idempotent: true,
  timeoutMs: 10_000,
};

/** Searches as `context.principal`; the lineage names exactly the passages that are in the output. */
export async function searchKnowledge(retrieve: RetrieveKnowledge, args: JsonObject, context: ToolContext): Promise<ToolOutcome> {
  const { principal, signal } = context;
  const request = { tenantId: principal.tenantId, principal, query: parseQuery(args['query']), topK: parseTopK(args['top_k']) };
  if (signal.aborted) throw cancelled();
  const { chunks } = await orAbort(retrieve(request), signal).catch((thrown: unknown) => {
    throw toToolError(thrown);
  });
  const kept = fitting(chunks);
  return {
    output: { chunks: kept.map((chunk) => ({ chunk_id: chunk.chunkId, title: toTitle(chunk), content: chunk.content, score: chunk.score, source: chunk.source })) },
    lineage: kept.map((chunk): LineageRef => ({ chunkId: chunk.chunkId, title: toTitle(chunk), source: chunk.source, score: chunk.score, sensitivity: chunk.sensitivity })),
  };
}

function parseQuery(value: unknown): string {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= QUERY_CHARS) return value;
  throw new PlatformError('tool_failed', `"query" is a text of 1 to ${QUERY_CHARS} characters.`, { details: { field: 'query' } });
}

function parseTopK(value: unknown): number {
  if (value === undefined) return TOP_K;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_TOP_K) return value;
  throw new PlatformError('tool_failed', `"top_k" is a whole number from 1 to ${MAX_TOP_K}.`, { details: { field: 'top_k' } });
}

/** A search in the database is short and ends by itself; the caller need not wait for it. */
function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(cancelled());
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function cancelled(): PlatformError {
  return new PlatformError('cancelled', 'The search was cancelled.');
}

/** Errors of the knowledge room in the words of a tool. */
function toToolError(thrown: unknown): PlatformError {
  const error = toPlatformError(thrown, 'tool_failed');
  if (error.code === 'unavailable') return new PlatformError('tool_unavailable', 'The knowledge base cannot be reached.', { cause: error });
  if (error.code === 'tool_failed' || error.code === 'cancelled') return error;
  return new PlatformError('tool_failed', error.message, { details: error.details, cause: error });
}

/** The best passages that fit the journal whole: a passage cut in the middle would be cited for what it no longer says. */
function fitting(chunks: readonly KnowledgeChunk[]): readonly KnowledgeChunk[] {
  const kept: KnowledgeChunk[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    bytes += Buffer.byteLength(JSON.stringify([chunk.content, toTitle(chunk), chunk.source])) + 128;
    if (bytes > OUTPUT_BYTES) break;
    kept.push(chunk);
  }
  return kept;
}

function toTitle(chunk: KnowledgeChunk): string {
  return [chunk.title, ...chunk.headingPath.filter((heading) => heading !== chunk.title)].join(' › ');
}
