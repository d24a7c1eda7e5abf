import type { AfterAnswer } from './after-answer.ts';
import type { CacheCall, CacheOutcome, Produce } from './answer-cache.ts';
import type { CacheEvent } from './cache-event.ts';
import { compareAnswers } from './compare-answers.ts';
import { reasonOf } from './flight.ts';
import type { FlightEnd, FlightSink } from './flight.ts';
import type { Keeper } from './keeper.ts';
import { chunksOf, keepAnswer, replyOf } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import type { MemoryLevel } from './memory-level.ts';
import type { RedisLevel } from './redis-level.ts';
import type { SemanticFind, SemanticLevel } from './semantic-level.ts';
import type { SemanticQuestion } from './semantic-question.ts';
import { isWholeAnswer } from './whole-answer.ts';

/** One request that memory had no answer for. */
export interface Job {
  readonly call: CacheCall;
  readonly key: string;
  /** null: nothing for the semantic level. */
  readonly question: SemanticQuestion | null;
  readonly produce: Produce;
}

export interface MakeDeps {
  readonly l1: MemoryLevel | null;
  readonly l2: RedisLevel | null;
  readonly l3: SemanticLevel | null;
  readonly keeper: Keeper;
  readonly after: AfterAnswer;
  readonly maxEntryBytes: number;
  /** Share of the semantic hits that are compared instead of used. */
  readonly shadow: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly observe: (event: CacheEvent) => void;
}

const NOWHERE = { level: null, ageMs: null, similarity: null } as const;
export const OFF: CacheOutcome = { state: 'off', ...NOWHERE };
export const BYPASS: CacheOutcome = { state: 'bypass', ...NOWHERE };
export const MISS: CacheOutcome = { state: 'miss', ...NOWHERE };
export const SHARED: CacheOutcome = { state: 'shared', ...NOWHERE };

/** What the leader of a flight does for all of it: the shared levels, then the backend, and what is kept of that. */
export function createMaker(deps: MakeDeps): (job: Job, sink: FlightSink) => Promise<FlightEnd> {
  const { l1, l2, l3, now } = deps;

  const fromRedis = async ({ call, key }: Job): Promise<KeptAnswer | null> => {
    if (!call.control.read || l2?.isUp() !== true) return null;
    const kept = freshOrNull(await l2.get(key, now()), call, now());
    deps.observe({ kind: 'look', level: 'l2', isHit: kept !== null });
    if (kept !== null) l1?.set(key, kept, now());
    return kept;
  };

  const fromMeaning = async ({ call, question }: Job): Promise<SemanticFind | null> => {
    const find = l3 === null || question === null ? null : await l3.find(call, question, now());
    if (find !== null && call.control.read) deps.observe({ kind: 'look', level: 'l3', isHit: find.hit !== null });
    return find;
  };

  const fromBackend = async (job: Job, sink: FlightSink, { find, shadowed }: { readonly find: SemanticFind | null; readonly shadowed: SemanticFind['hit'] }): Promise<FlightEnd> => {
    const { call } = job;
    const cache = call.control.read ? MISS : BYPASS;
    sink.begin(cache);
    if (sink.signal.aborted) throw reasonOf(sink.signal);
    const reply = await job.produce({ signal: sink.signal, onChunk: sink.onChunk });
    // A source that does not heed the signal ends as if all were well, and nobody recorded the rest.
    if (sink.signal.aborted) throw reasonOf(sink.signal);
    const kept = call.control.write || shadowed !== null ? wholeOf(deps, job, { reply, cache }, sink) : null;
    if (kept !== null && call.control.write) deps.keeper.keep(job, kept, find);
    if (kept !== null && shadowed !== null) deps.after.run(() => deps.observe({ kind: 'shadow', similarity: shadowed.similarity, ...compareAnswers(shadowed.kept, kept) }));
    return { reply, cache };
  };

  return async (job, sink) => {
    // No promise is waited for where there is nothing to ask: the backend is asked at once.
    const kept = l2 === null ? null : await fromRedis(job);
    if (kept !== null) return replayInto(sink, kept, hitOf(kept, 'l2', now()));
    const find = job.question === null ? null : await fromMeaning(job);
    const hit = find === null ? null : find.hit;
    if (hit === null || deps.random() < deps.shadow) return fromBackend(job, sink, { find, shadowed: hit });
    return replayInto(sink, hit.kept, { ...hitOf(hit.kept, 'l3', now()), similarity: hit.similarity });
  };
}

export function hitOf(kept: KeptAnswer, level: NonNullable<CacheOutcome['level']>, nowMs: number): CacheOutcome {
  return { state: 'hit', level, ageMs: Math.max(0, nowMs - kept.keptAtMs), similarity: null };
}

/** null: there is none, or it is older than the client likes. */
export function freshOrNull(kept: KeptAnswer | null, { control }: CacheCall, nowMs: number): KeptAnswer | null {
  return kept !== null && (control.maxAgeMs === null || nowMs - kept.keptAtMs <= control.maxAgeMs) ? kept : null;
}

/** null: it is not to be kept. */
function wholeOf({ maxEntryBytes, now, observe }: MakeDeps, { call }: Job, { reply }: FlightEnd, sink: FlightSink): KeptAnswer | null {
  const chunks = sink.recorded();
  const bytes = reply.document === null ? 0 : Buffer.byteLength(reply.document);
  if (chunks === null || bytes > maxEntryBytes) {
    observe({ kind: 'not_kept', level: 'l1', reason: 'too_large' });
    return null;
  }
  if (!isWholeAnswer(call.request.kind, reply, chunks)) return null;
  const keptAtMs = now();
  return keepAnswer(reply, chunks, { keptAtMs, untilMs: call.control.ttlMs === null ? Number.MAX_SAFE_INTEGER : keptAtMs + call.control.ttlMs });
}

async function replayInto(sink: FlightSink, kept: KeptAnswer, cache: CacheOutcome): Promise<FlightEnd> {
  sink.begin(cache);
  for (const json of chunksOf(kept)) {
    const full = sink.onChunk(json);
    if (full !== null) await full;
    if (sink.signal.aborted) throw reasonOf(sink.signal);
  }
  return { reply: replyOf(kept), cache };
}
