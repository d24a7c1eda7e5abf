import type { ModelLimits } from '@openeaap/kernel';
import type { RequestKind } from '../request/model-request.ts';

export const ROUTING_STRATEGIES = ['cost_optimized', 'latency_optimized'] as const;
export const BACKEND_TYPES = ['vllm', 'openai', 'scripted'] as const;
export const BACKEND_SIZES = ['small', 'large'] as const;
/** Where nodes share what limits and budgets have counted. */
export const LIMIT_STORES = ['postgres', 'redis'] as const;

export type BackendType = (typeof BACKEND_TYPES)[number];

/** `configs/msig.yaml`, parsed: every default filled in. */
export interface GatewayConfig {
  readonly routingStrategy: (typeof ROUTING_STRATEGIES)[number];
  /** Name of the backend for requests that name none; always one of `backends`. */
  readonly defaultBackend: string;
  readonly routing: RoutingConfig;
  readonly backends: readonly BackendConfig[];
  readonly cache: CacheConfig;
  readonly semanticCache: SemanticCacheConfig;
  readonly privacy: PrivacyConfig;
  readonly limits: readonly LimitConfig[];
  /** `redis`: in that of the cache, which is then given. */
  readonly limitsIn: (typeof LIMIT_STORES)[number];
}

export interface BackendConfig {
  readonly name: string;
  readonly type: BackendType;
  /** Base URLs as configured, each a server with the same models; empty for a backend without a server. */
  readonly endpoints: readonly string[];
  /** What is sent as `model`; empty: the first that the server lists. */
  readonly model: string;
  /** LoRA adapters of the server: names that may be asked for, and are sent, as `model`. */
  readonly adapters: readonly string[];
  readonly capabilities: readonly string[];
  /** What it can be asked; embeddings and rerank only where it says so. */
  readonly kinds: readonly RequestKind[];
  readonly prices: Prices;
  /** Tokens of prompt and answer together; null: not known. */
  readonly contextWindow: number | null;
  /** null: neither; simple requests then do not prefer it. */
  readonly size: (typeof BACKEND_SIZES)[number] | null;
  /** Outside the house: what goes there is masked and audited. */
  readonly external: boolean;
  /** It is outside because its host name looks so: nobody has said it. */
  readonly externalByName?: boolean;
  /** Share of the requests among backends that are equal otherwise. */
  readonly weight: number;
  /** Backends to ask when this one cannot answer, in order. */
  readonly fallbacks: readonly string[];
  /** A function, so that neither JSON nor a log line of the configuration can show the key. */
  readonly apiKey?: () => string;
  /** Bound of one call, all tries together. */
  readonly timeoutMs: number;
  /** Silence before the first byte of an answer; at most `timeoutMs`. */
  readonly firstByteTimeoutMs: number;
  /** Tries of one call at this backend while nothing has been passed on. */
  readonly maxAttempts: number;
  /** Requests under way at once at each of its servers. */
  readonly maxConcurrent: number;
  /** Requests that may wait for a place. */
  readonly maxQueue: number;
  readonly vllm: VllmConfig;
  /** Path of the script, relative to the configuration file; empty where the type has none. */
  readonly script: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** USD for a million tokens. */
export interface Prices {
  readonly input: number;
  readonly cachedInput: number;
  readonly output: number;
}

export interface VllmConfig {
  /** Whose prompts may share the prefix cache: `tenant` (a salt for each), `all`, or each `key`. */
  readonly cacheSharing: 'tenant' | 'all' | 'key';
  /** Send `priority`; the server must run with `--scheduling-policy priority`. */
  readonly priority: boolean;
  /** Read `/metrics` so often; 0: never. */
  readonly metricsIntervalMs: number;
}

export interface RoutingConfig {
  /** A request is simple when all of these hold: then a small backend is preferred. */
  readonly simple: { readonly maxPromptTokens: number; readonly maxTurns: number; readonly maxAnswerTokens: number };
  readonly affinity: { readonly enabled: boolean; /** Of an equal beginning; less is not worth a detour. */ readonly minPrefixChars: number; /** Requests more than the idlest server has. */ readonly maxImbalance: number };
  readonly breaker: { readonly failures: number; readonly openMs: number };
  /** Retries and fallbacks for each 100 requests, and always at least so many each second. */
  readonly retryBudget: { readonly percent: number; readonly minPerSecond: number };
}

export interface CacheConfig {
  readonly l1: { readonly enabled: boolean; readonly maxBytes: number; readonly ttlMs: number };
  /** Off without a Redis. */
  readonly l2: { readonly enabled: boolean; readonly ttlMs: number };
  /** Redis for L2, for vectors and, where `limitsIn` says so, for limits; a function, for a URL may hold a password. */
  readonly redisUrl?: () => string;
  /** Answers above this are not kept. */
  readonly maxEntryBytes: number;
}

export interface SemanticCacheConfig {
  readonly enabled: boolean;
  /** `redis-vector` falls back to `memory` where the server has no vectors. */
  readonly backend: 'redis-vector' | 'postgres' | 'memory';
  readonly similarityThreshold: number;
  /** Name of the backend that embeds; null: the built-in lexical vectors. */
  readonly embeddingBackend: string | null;
  /** That the backend has: vectors of two models have nothing to say to each other. null: as `embeddingBackend`. */
  readonly embeddingModel: string | null;
  readonly ttlMs: number;
  readonly maxEntries: number;
  /** Answer nothing from it: compare what it would have answered with what the backend did. Share of the hits, 0 to 1. */
  readonly shadow: number;
  /** Requests of several turns, or with tools. */
  readonly multiTurn: boolean;
  readonly guard: boolean;
}

export interface PrivacyConfig {
  /** Hosts, or domains with a leading dot, that belong to the house although their names do not show it. */
  readonly internalHosts: readonly string[];
}

export const LIMIT_SUBJECTS = ['key', 'user', 'tenant', 'model'] as const;

/** One limit. It holds for each subject of its kind, or for the one that `name` names: a key (or its id), a user, a tenant, a backend. */
export interface LimitConfig extends Omit<ModelLimits, 'usdTotal'> {
  readonly per: (typeof LIMIT_SUBJECTS)[number];
  readonly name: string | null;
}
