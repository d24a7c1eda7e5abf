import { withinMs } from '../within-ms.ts';
import type { CacheCall } from './answer-cache.ts';
import type { CacheEvent } from './cache-event.ts';
import type { CacheKeys } from './cache-key.ts';
import type { Embedder } from './embedder.ts';
import { compareStoredFacts, factsOf, GUARD_VERSION } from './guard.ts';
import { decodeKept, encodeKept } from './kept-answer.ts';
import type { KeptAnswer } from './kept-answer.ts';
import type { Rest } from './rest.ts';
import type { SemanticQuestion } from './semantic-question.ts';
import type { VectorMatch, VectorStore } from './vector-store.ts';

/** L3: answers of questions that say the same in other words, within one scope. */
export interface SemanticLevel {
  /** null: the level cannot say anything of it. Never rejects. */
  readonly find: (call: CacheCall, question: SemanticQuestion, nowMs: number) => Promise<SemanticFind | null>;
  /** Did the store take it? Never rejects. */
  readonly keep: (find: SemanticFind, entry: { readonly id: string; readonly kept: KeptAnswer }, nowMs: number) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

export interface SemanticFind {
  readonly tenantId: string;
  readonly scope: string;
  readonly vector: Float32Array;
  readonly facts: string;
  readonly hit: { readonly kept: KeptAnswer; readonly similarity: number } | null;
}

export interface SemanticLevelOptions {
  readonly threshold: number;
  readonly guard: boolean;
  readonly hashKey: string;
  readonly keys: CacheKeys;
  readonly embedder: Embedder;
  readonly store: VectorStore;
  /** Of the store. */
  readonly rest: Rest;
  readonly observe: (event: CacheEvent) => void;
}

/** Near questions that the guard looks at; the nearest may be of another address, and the next one right. */
const CANDIDATES_MAX = 8;
const SEARCH_TIMEOUT_MS = 150;
const KEEP_TIMEOUT_MS = 2_000;
/** A question with a longer answer is seldom asked twice. */
const ANSWER_BYTES_MAX = 256 * 1024;

export function createSemanticLevel(options: SemanticLevelOptions): SemanticLevel {
  const { store, rest, embedder, observe } = options;

  /** null: it failed or took too long. */
  const ask = async <T>(timeoutMs: number, work: () => Promise<T>): Promise<{ readonly value: T } | null> => {
    if (rest.isResting()) return null;
    // A store that throws before it gives a promise has failed too.
    const answer = await withinMs(timeoutMs, (async () => work())());
    rest.note(answer.kind === 'done');
    return answer.kind === 'done' ? answer : null;
  };

  const isSame = (match: VectorMatch, facts: string): boolean => {
    if (!options.guard) return true;
    const verdict = compareStoredFacts(match.facts, facts);
    if (!verdict.same) observe({ kind: 'guarded', similarity: match.similarity, reason: verdict.reason });
    return verdict.same;
  };

  const firstSame = async (matches: readonly VectorMatch[], sought: Omit<SemanticFind, 'hit'>, limits: { readonly nowMs: number; readonly maxAgeMs: number | null }): Promise<SemanticFind['hit']> => {
    for (const match of matches) {
      if (!isSame(match, sought.facts)) continue;
      const loaded = await ask(SEARCH_TIMEOUT_MS, () => store.load({ tenantId: sought.tenantId, scope: sought.scope, id: match.id }));
      const kept = loaded === null || loaded.value === null ? null : decodeKept(loaded.value);
      if (kept === null || kept.untilMs <= limits.nowMs) continue;
      if (limits.maxAgeMs === null || limits.nowMs - kept.keptAtMs <= limits.maxAgeMs) return { kept, similarity: match.similarity };
    }
    return null;
  };

  return {
    find: async (call, question, nowMs) => {
      if (rest.isResting()) return null;
      const scope = options.keys.scope(call, question.rest, `${embedder.name} guard-${GUARD_VERSION}`);
      const vector = await embedder.vectorOf(question.text, call.access);
      if (vector === null) return null;
      const { tenantId } = call.access;
      const sought = { tenantId, scope, vector, facts: factsOf(question.text, options.hashKey) };
      if (!call.control.read) return { ...sought, hit: null };
      const matches = await ask(SEARCH_TIMEOUT_MS, () => store.search({ tenantId, scope, vector, limit: CANDIDATES_MAX, least: options.threshold, nowMs }));
      if (matches === null) return null;
      return { ...sought, hit: await firstSame(matches.value, sought, { nowMs, maxAgeMs: call.control.maxAgeMs }) };
    },
    keep: async ({ hit: _hit, ...place }, { id, kept }, nowMs) => {
      if (kept.body.length > ANSWER_BYTES_MAX) return false;
      const added = await ask(KEEP_TIMEOUT_MS, () => store.add({ ...place, id, answer: encodeKept(kept), nowMs, untilMs: kept.untilMs }));
      return added !== null;
    },
    close: () => store.close(),
  };
}
