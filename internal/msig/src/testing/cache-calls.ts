import type { JsonObject } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { RequestReply } from '../backends/backend.ts';
import { DEFAULT_CACHE_CONTROL } from '../cache/answer-cache.ts';
import type { CacheCall, CacheControl, CacheOutcome, Produce } from '../cache/answer-cache.ts';
import type { CacheEvent } from '../cache/cache-event.ts';
import { createAnswerCache } from '../cache/create-answer-cache.ts';
import type { AnswerCacheOptions, StartedAnswerCache } from '../cache/create-answer-cache.ts';
import type { SemanticCacheConfig } from '../config/gateway-config.ts';
import type { ModelRequest, RequestKind } from '../request/model-request.ts';

export const WHO: Access = { tenantId: 't1', runId: '', stepId: '', agentId: '', userId: 'u1', traceId: '', labels: ['soc'], sensitivity: 1 };

export const SEMANTIC_OFF: SemanticCacheConfig = {
  enabled: false, backend: 'memory', similarityThreshold: 0.92, embeddingBackend: null, embeddingModel: null, ttlMs: 3_600_000, maxEntries: 1_000, shadow: 0, multiTurn: false, guard: true,
};

export interface TestCache extends StartedAnswerCache {
  readonly events: readonly CacheEvent[];
  readonly lines: readonly string[];
  /** Sets the clock on. */
  readonly pass: (ms: number) => void;
}

export function makeCache(changes: { readonly [K in keyof AnswerCacheOptions]?: Partial<AnswerCacheOptions[K]> | AnswerCacheOptions[K] } = {}): TestCache {
  const events: CacheEvent[] = [];
  const lines: string[] = [];
  let nowMs = 1_000_000;
  const { cache: cacheChanges, semantic: semanticChanges, ...others } = changes as Partial<AnswerCacheOptions>;
  const cache = createAnswerCache({
    cache: { l1: { enabled: true, maxBytes: 1_000_000, ttlMs: 60_000 }, l2: { enabled: false, ttlMs: 600_000 }, maxEntryBytes: 100_000, ...cacheChanges },
    semantic: { ...SEMANTIC_OFF, ...semanticChanges },
    now: () => nowMs,
    random: () => 0,
    mayStore: () => true,
    hashKey: 'test key',
    observe: (event) => void events.push(event),
    log: (line) => void lines.push(line),
    ...others,
  });
  return { ...cache, events, lines, pass: (ms) => (nowMs += ms) };
}

export interface TestCall extends CacheCall {
  readonly got: readonly string[];
  readonly outcomes: readonly CacheOutcome[];
  readonly leave: (reason?: Error) => void;
}

export interface CallChanges {
  readonly kind?: RequestKind;
  readonly text?: string;
  readonly access?: Partial<Access>;
  readonly control?: Partial<CacheControl>;
  readonly identity?: string;
  readonly onChunk?: CacheCall['onChunk'];
  readonly request?: Partial<ModelRequest>;
}

/** One request and its client. */
export function callOf(body: JsonObject, changes: CallChanges = {}): TestCall {
  const text = changes.text ?? JSON.stringify(body);
  const leaving = new AbortController();
  const got: string[] = [];
  const outcomes: CacheOutcome[] = [];
  const parsed = JSON.parse(text) as JsonObject;
  const request: ModelRequest = { kind: changes.kind ?? 'chat', text, body: parsed, model: '', isStream: parsed['stream'] === true, wantsUsage: false, wantsUsageOnEveryChunk: false, choices: typeof parsed['n'] === 'number' ? parsed['n'] : 1, maxTokens: null, ...changes.request };
  return {
    request,
    access: { ...WHO, ...changes.access },
    control: { ...DEFAULT_CACHE_CONTROL, ...changes.control },
    identity: changes.identity ?? 'b1/m1',
    signal: leaving.signal,
    onChunk: (json) => {
      got.push(json);
      return changes.onChunk?.(json) ?? null;
    },
    onOutcome: (outcome) => void outcomes.push(outcome),
    got,
    outcomes,
    leave: (reason) => leaving.abort(reason),
  };
}

export const chatBody = (question: string, changes: JsonObject = {}): JsonObject => ({ model: 'm', messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: question }], ...changes });

export const replyWith = (text: string, changes: Partial<RequestReply> = {}): RequestReply => ({
  model: 'm1',
  finishReason: 'stop',
  usage: { promptTokens: 7, completionTokens: 3, cachedTokens: 2 },
  document: JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm1', choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }] }),
  ...changes,
});

/** Counts how often it was asked, and answers with that number. */
export function counting(changes: Partial<RequestReply> = {}): Produce & { readonly count: () => number } {
  let count = 0;
  const produce: Produce = async () => replyWith(`answer ${(count += 1)}`, changes);
  return Object.assign(produce, { count: () => count });
}

export const chunk = (content: string, finishReason: string | null = null): string =>
  JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm1', choices: [{ index: 0, delta: { content }, finish_reason: finishReason }] });

export const STREAMED: RequestReply = replyWith('', { document: null });

/** Sends all chunks, waiting where it is told to. */
export const streaming = (chunks: readonly string[], reply: RequestReply = STREAMED): Produce => async ({ onChunk }) => {
  for (const json of chunks) await onChunk(json);
  return reply;
};

export interface Gate {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

export function gate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
