import { PlatformError, unlessAborted } from '@openeaap/kernel';
import type { RequestReply } from '../backends/backend.ts';
import type { CacheConfig, SemanticCacheConfig } from '../config/gateway-config.ts';
import type { AnswerCache, CacheCall, CacheLevel, CacheOutcome, Produce } from './answer-cache.ts';
import type { CacheEvent } from './cache-event.ts';
import { createCacheKeys } from './cache-key.ts';
import { compareAnswers } from './compare-answers.ts';
import type { Embed } from './embedder.ts';
import { createFlight, reasonOf } from './flight.ts';
import type { Flight, FlightEnd, FlightSink, Seat } from './flight.ts';
import { isRepeatable } from './is-repeatable.ts';
import { chunksOf, keepAnswer, replyOf } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import { createKeeper } from './keeper.ts';
import { createMemoryLevel } from './memory-level.ts';
import { openSemanticLevel } from './open-semantic-level.ts';
import type { RedisLink } from './redis-link.ts';
import { createRedisLevel } from './redis-level.ts';
import { semanticQuestionOf } from './semantic-question.ts';
import type { SemanticQuestion } from './semantic-question.ts';
import type { VectorStore } from './vector-store.ts';
import { isWholeAnswer } from './whole-answer.ts';

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

const OFF: CacheOutcome = { state: 'off', level: null, ageMs: null, similarity: null };
const BYPASS: CacheOutcome = { ...OFF, state: 'bypass' };
const MISS: CacheOutcome = { ...OFF, state: 'miss' };
const SHARED: CacheOutcome = { ...OFF, state: 'shared' };

/** Flights of others that may fail under one request; then it goes alone. */
const FAILED_FLIGHTS_MAX = 2;
const REDIS_PREFIX = 'openeaap:msig:';
/** Errors that say something of the request, so whoever asks the same gets the same. */
const FAULTS_OF_THE_REQUEST: ReadonlySet<string> = new Set(['invalid_input', 'payload_too_large', 'not_found', 'unsupported', 'model_rejected', 'model_invalid_output']);

interface Job {
  readonly call: CacheCall;
  readonly key: string;
  readonly question: SemanticQuestion | null;
  readonly produce: Produce;
}

export function createAnswerCache(options: AnswerCacheOptions): StartedAnswerCache {
  const { cache, now } = options;
  const redis = options.redis ?? null;
  const observe = options.observe ?? (() => undefined);
  const keys = createCacheKeys(options.hashKey);
  const l1 = cache.l1.enabled ? createMemoryLevel(cache.l1) : null;
  const l2 = cache.l2.enabled && redis !== null ? createRedisLevel(redis, { prefix: `${REDIS_PREFIX}a1:`, ttlMs: cache.l2.ttlMs }) : null;
  const l3 = options.semantic.enabled ? openSemanticLevel(options, { keys, redis, prefix: REDIS_PREFIX, observe }) : null;
  const keeper = createKeeper({ l1, l2, l3, semanticTtlMs: options.semantic.ttlMs, now, mayStore: options.mayStore, observe });
  const flights = new Map<string, Flight>();

  const look = <T>(level: CacheLevel, found: T | null): T | null => {
    observe({ kind: 'look', level, isHit: found !== null });
    return found;
  };
  const outcomeOf = (kept: KeptAnswer, level: CacheLevel, similarity: number | null = null): CacheOutcome => ({ state: 'hit', level, ageMs: Math.max(0, now() - kept.keptAtMs), similarity });
  const isFresh = (kept: KeptAnswer, { control }: CacheCall): boolean => control.maxAgeMs === null || now() - kept.keptAtMs <= control.maxAgeMs;
  const freshOrNull = (kept: KeptAnswer | null, call: CacheCall): KeptAnswer | null => (kept !== null && isFresh(kept, call) ? kept : null);

  const questionOf = ({ request, control }: CacheCall): SemanticQuestion | null =>
    l3 === null || control.semantic === false ? null : semanticQuestionOf(request, { multiTurn: control.semantic === true || options.semantic.multiTurn });

  /** What the leader of a flight does for all. */
  const make = async (job: Job, sink: FlightSink): Promise<FlightEnd> => {
    const { call, key } = job;
    if (call.control.read && l2?.isUp() === true) {
      const kept = look('l2', freshOrNull(await l2.get(key, now()), call));
      if (kept !== null) {
        l1?.set(key, kept, now());
        return replayInto(sink, kept, outcomeOf(kept, 'l2'));
      }
    }
    const find = l3 === null || job.question === null ? null : await l3.find(call, job.question, now());
    const hit = call.control.read && find !== null ? look('l3', find.hit) : null;
    const isShadowed = hit !== null && options.random() < options.semantic.shadow;
    if (hit !== null && !isShadowed) return replayInto(sink, hit.kept, outcomeOf(hit.kept, 'l3', hit.similarity));
    const outcome = call.control.read ? MISS : BYPASS;
    sink.begin(outcome);
    if (sink.signal.aborted) throw reasonOf(sink.signal);
    const reply = await job.produce({ signal: sink.signal, onChunk: sink.onChunk });
    const kept = call.control.write || isShadowed ? wholeOf(job, reply, sink) : null;
    if (kept !== null && call.control.write) keeper.keep(job, kept, find);
    if (kept !== null && isShadowed) observe({ kind: 'shadow', similarity: hit.similarity, ...compareAnswers(hit.kept, kept) });
    return { reply, cache: outcome };
  };

  /** null: it is not to be kept. */
  const wholeOf = ({ call }: Job, reply: RequestReply, sink: FlightSink): KeptAnswer | null => {
    const chunks = sink.recorded();
    const bytes = reply.document === null ? 0 : Buffer.byteLength(reply.document);
    if (chunks === null || bytes > cache.maxEntryBytes) {
      observe({ kind: 'not_kept', level: 'l1', reason: 'too_large' });
      return null;
    }
    if (!isWholeAnswer(call.request.kind, reply, chunks)) return null;
    const keptAtMs = now();
    return keepAnswer(reply, chunks, { keptAtMs, untilMs: keptAtMs + (call.control.ttlMs ?? Number.MAX_SAFE_INTEGER - keptAtMs) });
  };

  /** `name`: others may join under it; null: alone. */
  const lead = (job: Job, name: string | null): Promise<FlightEnd> => {
    const flight = createFlight({
      maxBytes: cache.maxEntryBytes,
      onClosed: () => {
        if (name !== null && flights.get(name) === flight) flights.delete(name);
      },
    });
    if (name !== null) flights.set(name, flight);
    const landed = flight.join(seatOf(job.call));
    flight.start((sink) => make(job, sink));
    return landed;
  };

  const follow = async (flight: Flight, call: CacheCall): Promise<FlightEnd | 'failed'> => {
    let hasBegun = false;
    const seat = seatOf(call);
    const onBegin = (outcome: CacheOutcome): void => {
      hasBegun = true;
      seat.onBegin(sharedOf(outcome));
    };
    try {
      const { reply, cache: outcome } = await flight.join({ ...seat, onBegin });
      if (outcome.state !== 'hit') observe({ kind: 'shared' });
      return { reply, cache: sharedOf(outcome) };
    } catch (thrown) {
      if (hasBegun || call.signal.aborted || (thrown instanceof PlatformError && FAULTS_OF_THE_REQUEST.has(thrown.code))) throw thrown;
      return 'failed';
    }
  };

  const shareOrLead = async (job: Job): Promise<FlightEnd> => {
    // Requests that would not take each other's answers do not share.
    const name = `${job.key} ${job.question === null ? '' : 'semantic'} ${job.call.control.maxAgeMs ?? ''}`;
    for (let failed = 0; failed < FAILED_FLIGHTS_MAX; failed += 1) {
      const flight = flights.get(name);
      if (flight?.isOpen() !== true) return lead(job, job.call.control.write ? name : null);
      const ended = await follow(flight, job.call);
      if (ended !== 'failed') return ended;
    }
    return lead(job, null);
  };

  return {
    through: async (call, produce) => {
      if (call.signal.aborted) throw reasonOf(call.signal);
      const { read, write } = call.control;
      if (l1 === null && l2 === null && l3 === null) return direct(call, produce, OFF);
      if ((!read && !write) || !isRepeatable(call.request, call.control)) return direct(call, produce, BYPASS);
      const key = keys.exact(call);
      const kept = read && l1 !== null ? look('l1', freshOrNull(l1.get(key, now()), call)) : null;
      if (kept !== null) return replay(call, kept, outcomeOf(kept, 'l1'));
      const job = { call, key, question: questionOf(call), produce };
      return read ? shareOrLead(job) : lead(job, null);
    },
    settled: () => keeper.settled(),
    sizes: () => ({ l1Bytes: l1?.bytes() ?? 0, l1Entries: l1?.entries() ?? 0, flights: flights.size }),
    close: async () => {
      await keeper.settled();
      await l3?.close();
    },
  };
}

/** Past all levels. */
async function direct(call: CacheCall, produce: Produce, outcome: CacheOutcome): Promise<FlightEnd> {
  call.onOutcome?.(outcome);
  return { reply: await produce({ signal: call.signal, onChunk: call.onChunk }), cache: outcome };
}

function seatOf({ signal, onChunk, onOutcome }: CacheCall): Seat {
  return { signal, onChunk, onBegin: (outcome) => onOutcome?.(outcome) };
}

const sharedOf = (outcome: CacheOutcome): CacheOutcome => (outcome.state === 'hit' ? outcome : SHARED);

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

async function replayInto(sink: FlightSink, kept: KeptAnswer, outcome: CacheOutcome): Promise<FlightEnd> {
  sink.begin(outcome);
  for (const json of chunksOf(kept)) {
    const full = sink.onChunk(json);
    if (full !== null) await full;
    if (sink.signal.aborted) throw reasonOf(sink.signal);
  }
  return { reply: replyOf(kept), cache: outcome };
}
