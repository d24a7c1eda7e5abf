import type { SemanticCacheConfig } from '../config/gateway-config.ts';
import type { CacheEvent } from './cache-event.ts';
import type { CacheKeys } from './cache-key.ts';
import { createLexicalEmbedder, createModelEmbedder } from './embedder.ts';
import type { Embed } from './embedder.ts';
import { createMemoryVectors } from './memory-vectors.ts';
import type { RedisLink } from './redis-link.ts';
import { createRedisVectors } from './redis-vectors.ts';
import { createRest } from './rest.ts';
import { createSemanticLevel } from './semantic-level.ts';
import type { SemanticLevel } from './semantic-level.ts';
import type { VectorStore } from './vector-store.ts';

export interface SemanticDeps {
  readonly semantic: SemanticCacheConfig;
  readonly now: () => number;
  readonly vectors?: VectorStore | null;
  readonly embed?: Embed | null;
  readonly hashKey: string;
  readonly log: (line: string) => void;
}

export interface SemanticParts {
  readonly keys: CacheKeys;
  readonly redis: RedisLink | null;
  readonly prefix: string;
  readonly observe: (event: CacheEvent) => void;
}

/** The embedder and the store that the configuration names, or what stands in for them. */
export function openSemanticLevel(deps: SemanticDeps, parts: SemanticParts): SemanticLevel {
  const { semantic, now, log, hashKey } = deps;
  const restOf = (what: string) =>
    createRest(now, (isOn) => {
      parts.observe({ kind: 'semantic', isOn });
      log(isOn ? `The semantic cache is on again: ${what} answered.` : `The semantic cache is off for a while: ${what} failed or took too long. Requests go on.`);
    });
  const embed = deps.embed ?? null;
  return createSemanticLevel({
    threshold: semantic.similarityThreshold,
    guard: semantic.guard,
    hashKey,
    keys: parts.keys,
    embedder: embed === null || semantic.embeddingBackend === null ? createLexicalEmbedder() : createModelEmbedder(`${semantic.embeddingBackend}=${semantic.embeddingModel ?? ''}`, embed, restOf(`the embedding backend "${semantic.embeddingBackend}"`)),
    store: openVectors(deps, parts),
    rest: restOf('the vector store'),
    observe: parts.observe,
  });
}

function openVectors({ semantic, vectors, log }: SemanticDeps, { redis, prefix }: SemanticParts): VectorStore {
  const memory = createMemoryVectors({ maxEntries: semantic.maxEntries });
  if (semantic.backend === 'redis-vector' && redis !== null) return createRedisVectors(redis, { prefix, maxEntries: semantic.maxEntries, fallback: memory, log });
  if (semantic.backend === 'postgres' && vectors !== undefined && vectors !== null) return vectors;
  if (semantic.backend !== 'memory') log(`The semantic cache has no ${semantic.backend === 'postgres' ? 'PostgreSQL' : 'Redis'} to keep vectors in: they are in the process.`);
  return memory;
}
