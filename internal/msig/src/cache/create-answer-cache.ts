import { unlessAborted } from '@openeaap/kernel';
import type { CacheConfig, SemanticCacheConfig } from '../config/gateway-config.ts';
import { createAfterAnswer } from './after-answer.ts';
import type { AnswerCache, CacheCall, CacheOutcome, Produce } from './answer-cache.ts';
import type { CacheEvent } from './cache-event.ts';
import { createCacheKeys } from './cache-key.ts';
import type { Embed } from './embedder.ts';
import { reasonOf } from './flight.ts';
import type { FlightEnd } from './flight.ts';
import { isRepeatable } from './is-repeatable.ts';
import { createKeeper } from './keeper.ts';
import { chunksOf, replyOf } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import { BYPASS, createMaker, freshOrNull, hitOf, OFF } from './make-answer.ts';
import { createMemoryLevel } from './memory-level.ts';
import { openSemanticLevel } from './open-semantic-level.ts';
import type { RedisLink } from './redis-link.ts';
import { createRedisLevel } from './redis-level.ts';
import { semanticQuestionOf } from './semantic-question.ts';
import type { SemanticQuestion } from './semantic-question.ts';
import { createFlights } from './share-flights.ts';
import type { VectorStore } from './vector-store.ts';

export interface AnswerCacheOptions {
  readonly cache: CacheConfig;
  readonly semantic: SemanticCacheConfig;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 up to 1; picks the hits that the shadow looks at. */
  readonly random: () => number;
  /** null: L2 is off, and vectors are elsewhere. The link stays the caller's. */
  readonly redis?: RedisLink | null;
  /** For `semantic.backend: postgres`; null: in the process. */
  readonly vectors?: VectorStore | null;
  /** Of `semantic.embeddingBackend`; null: the built-in lexical vectors. */
  readonly embed?: Embed | null;
  /** false: the text holds data of persons, so only the process may keep it. */
  readonly mayStore: (text: string) => boolean;
  /** Secret, and the same on all nodes that share a cache. */
  readonly hashKey: string;
  readonly observe?: (event: CacheEvent) => void;
  readonly log: (line: string) => void;
}

export interface StartedAnswerCache extends AnswerCache {
  /** When everything that was to be kept is kept. */
  readonly settled: () => Promise<void>;
  readonly sizes: () => { readonly l1Bytes: number; readonly l1Entries: number; readonly flights: number };
}

const REDIS_PREFIX = 'openeaap:msig:';

export function createAnswerCache(options: AnswerCacheOptions): StartedAnswerCache {
  const { cache, semantic, now, random, mayStore } = options;
  const redis = options.redis ?? null;
  const observe = options.observe ?? (() => undefined);
  const keys = createCacheKeys(options.hashKey);
  const l1 = cache.l1.enabled ? createMemoryLevel(cache.l1) : null;
  const l2 = cache.l2.enabled && redis !== null ? createRedisLevel(redis, { prefix: `${REDIS_PREFIX}a1:`, ttlMs: cache.l2.ttlMs }) : null;
  const l3 = semantic.enabled ? openSemanticLevel(options, { keys, redis, prefix: REDIS_PREFIX, observe }) : null;
  const after = createAfterAnswer();
  const keeper = createKeeper({ l1, l2, l3, semanticTtlMs: semantic.ttlMs, now, mayStore, after, observe });
  const { maxEntryBytes } = cache;
  const make = createMaker({ l1, l2, l3, keeper, after, maxEntryBytes, shadow: semantic.shadow, now, random, observe });
  const flights = createFlights({ maxBytes: maxEntryBytes, make, onShared: () => observe({ kind: 'shared' }) });
  const isOff = l1 === null && l2 === null && l3 === null;

  const fromMemory = (call: CacheCall, key: string): KeptAnswer | null => {
    if (l1 === null || !call.control.read) return null;
    const kept = freshOrNull(l1.get(key, now()), call, now());
    observe({ kind: 'look', level: 'l1', isHit: kept !== null });
    return kept;
  };

  const questionOf = ({ request, control }: CacheCall, isFaithful: boolean): SemanticQuestion | null =>
    l3 === null || control.semantic === false || !isFaithful ? null : semanticQuestionOf(request, { multiTurn: control.semantic === true || semantic.multiTurn });

  return {
    through: async (call, produce) => {
      if (call.signal.aborted) throw reasonOf(call.signal);
      const { read, write } = call.control;
      if (isOff) return direct(call, produce, OFF);
      if ((!read && !write) || !isRepeatable(call.request, call.control)) return direct(call, produce, BYPASS);
      const { key, isFaithful } = keys.exact(call);
      const kept = fromMemory(call, key);
      if (kept !== null) return replay(call, kept, hitOf(kept, 'l1', now()));
      const job = { call, key, question: questionOf(call, isFaithful), produce };
      return read ? flights.shareOrLead(job) : flights.leadAlone(job);
    },
    settled: () => after.settled(),
    sizes: () => ({ l1Bytes: l1?.bytes() ?? 0, l1Entries: l1?.entries() ?? 0, flights: flights.size() }),
    close: async () => {
      await after.settled();
      await l3?.close();
    },
  };
}

/** Past all levels. */
async function direct(call: CacheCall, produce: Produce, outcome: CacheOutcome): Promise<FlightEnd> {
  call.onOutcome?.(outcome);
  return { reply: await produce({ signal: call.signal, onChunk: call.onChunk }), cache: outcome };
}

/** As fast as the reader reads. */
async function replay(call: CacheCall, kept: KeptAnswer, outcome: CacheOutcome): Promise<FlightEnd> {
  const chunks = chunksOf(kept);
  call.onOutcome?.(outcome);
  for (const json of chunks) {
    const full = call.onChunk(json);
    if (full !== null) await unlessAborted(call.signal, full, () => reasonOf(call.signal));
    if (call.signal.aborted) throw reasonOf(call.signal);
  }
  return { reply: replyOf(kept), cache: outcome };
}
