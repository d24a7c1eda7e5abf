import { LIMITS, MODEL_LIMIT_BOUNDS, MODEL_LIMIT_FIELDS, NO_MODEL_LIMITS, PlatformError } from '@openeaap/kernel';
import type { RequestKind } from '../request/model-request.ts';
import { REQUEST_KINDS } from '../request/model-request.ts';
import { BACKEND_SIZES, BACKEND_TYPES, LIMIT_STORES, LIMIT_SUBJECTS, ROUTING_STRATEGIES } from './gateway-config.ts';
import type { BackendConfig, BackendType, CacheConfig, GatewayConfig, LimitConfig, Prices, RoutingConfig, SemanticCacheConfig, VllmConfig } from './gateway-config.ts';
import { isExternal } from './is-external.ts';
import { openYaml, readBoolean, readList, readMap, readNumber, readOneOf, readString, readStrings, required, suggest, yamlError } from './yaml-place.ts';
import type { YamlPlace } from './yaml-place.ts';

export const BACKEND_DEFAULTS = {
  /** The document gives the gateway 30 s before the fallback reply (section 19). */
  timeoutMs: LIMITS.thinkTimeoutMs,
  /** One more try hides a dropped keep-alive connection or a short 429; the orchestrator has tries of its own. */
  maxAttempts: 2,
  maxConcurrent: 256,
  maxQueue: 1_024,
  kinds: ['chat', 'completions', 'responses'],
  vllm: { cacheSharing: 'tenant', priority: false, metricsIntervalMs: 5_000 },
} as const satisfies Partial<BackendConfig>;

export const CONFIG_DEFAULTS = {
  routing: {
    simple: { maxPromptTokens: 400, maxTurns: 2, maxAnswerTokens: 1_024 },
    affinity: { enabled: true, minPrefixChars: 512, maxImbalance: 4 },
    breaker: { failures: 5, openMs: 10_000 },
    retryBudget: { percent: 20, minPerSecond: 10 },
  },
  cache: {
    l1: { enabled: false, maxBytes: 67_108_864, ttlMs: 300_000 },
    l2: { enabled: false, ttlMs: 3_600_000 },
    maxEntryBytes: 1_048_576,
  },
  semanticCache: {
    enabled: false,
    backend: 'memory',
    similarityThreshold: 0.92,
    embeddingBackend: null,
    embeddingModel: null,
    ttlMs: 3_600_000,
    maxEntries: 10_000,
    shadow: 0,
    multiTurn: false,
    guard: true,
  },
  /** Budgets are about money: a cache's Redis may forget, be it for a restart or for room. */
  limitsIn: 'postgres',
} as const satisfies Pick<GatewayConfig, 'routing' | 'cache' | 'semanticCache' | 'limitsIn'>;

const BACKENDS_MAX = 256;
const ENDPOINTS_MAX = 64;
const CAPABILITIES_MAX = 64;
const ADAPTERS_MAX = 256;
const LIMITS_MAX = 256;
const ATTEMPTS_MAX = 5;
const DAY_MS = 86_400_000;
/** `cost_per_1k` is for 1,000 tokens, our own prices for a million. */
const PER_MILLION = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses `configs/msig.yaml` (document section 12.2 and our additions). `env` is only asked for
 * the variables that an `api_key_env` or `url_env` names; `file` is what error messages call the file.
 * Errors: `invalid_input` whose message is `file:line:column: what is wrong and the cure`.
 */
export function parseGatewayConfig(yamlText: string, env: Environment, file = 'configs/msig.yaml'): GatewayConfig {
  const root = openYaml(file, yamlText);
  const entries = readMap(root, ['routing_strategy', 'default_backend', 'routing', 'backends', 'cache', 'semantic_cache', 'privacy', 'limits', 'limits_in']);
  const privacyPlace = entries.get('privacy');
  const privacy = { internalHosts: privacyPlace === undefined ? [] : parseInternalHosts(privacyPlace) };
  const backends = parseBackends(required(entries, 'backends', root), { env, internalHosts: privacy.internalHosts });
  const strategy = entries.get('routing_strategy');
  const cache = parseCache(entries.get('cache'), env);
  return {
    routingStrategy: strategy === undefined ? 'cost_optimized' : readOneOf(strategy, ROUTING_STRATEGIES),
    defaultBackend: parseDefaultBackend(entries.get('default_backend'), backends),
    routing: parseRouting(entries.get('routing')),
    backends,
    cache,
    semanticCache: parseSemanticCache(entries.get('semantic_cache'), backends),
    privacy,
    limits: parseLimits(entries.get('limits'), backends),
    limitsIn: parseLimitsIn(entries.get('limits_in'), cache),
  };
}

/** What the configuration asks for and cannot have as it is, or hardly means; one sentence each, for the log at the start. */
export function describeInactiveSettings(config: GatewayConfig): readonly string[] {
  const { semanticCache, cache } = config;
  const notes: string[] = [];
  for (const { name, type, externalByName } of config.backends) {
    if (type === 'vllm' && externalByName === true) notes.push(`backends: "${name}" counts as outside the house by its host name: what goes there is masked, and confidential content is refused. Give it external: false if it is yours, external: true if it is not.`);
  }
  if (cache.l2.enabled && cache.redisUrl === undefined) notes.push('cache.l2 is on, but there is no Redis: name the variable of its URL in cache.redis_url_env. L2 stays off.');
  if (semanticCache.enabled && semanticCache.backend === 'redis-vector' && cache.redisUrl === undefined) notes.push('semantic_cache.backend is redis-vector, but there is no Redis: the vectors are kept in memory.');
  if (semanticCache.enabled && semanticCache.embeddingBackend === null) notes.push('semantic_cache is on without an embedding_backend: questions are compared by their words alone.');
  return notes;
}

/** The value at `key`, or what holds without it. */
function optionalIn(entries: ReadonlyMap<string, YamlPlace>) {
  return <T>(key: string, read: (at: YamlPlace) => T, otherwise: T): T => {
    const at = entries.get(key);
    return at === undefined ? otherwise : read(at);
  };
}

const count = (max: number, min = 0) => (at: YamlPlace): number => readNumber(at, { min, max, integer: true });
const seconds = (maxS: number, minS = 0) => (at: YamlPlace): number => Math.round(readNumber(at, { min: minS, max: maxS }) * 1_000);

function parseDefaultBackend(place: YamlPlace | undefined, backends: readonly BackendConfig[]): string {
  return place === undefined ? (backends[0]?.name ?? '') : readBackendName(place, backends);
}

function readBackendName(place: YamlPlace, backends: readonly Pick<BackendConfig, 'name'>[]): string {
  const names = backends.map((backend) => backend.name);
  const name = readString(place);
  if (!names.includes(name)) throw yamlError(place, `No backend is named "${name}". ${suggest(name, names)}`);
  return name;
}

interface BackendContext {
  readonly env: Environment;
  readonly internalHosts: readonly string[];
}

function parseBackends(place: YamlPlace, context: BackendContext): readonly BackendConfig[] {
  const items = readList(place, BACKENDS_MAX);
  if (items.length === 0) throw yamlError(place, 'At least one backend is needed.');
  const names = new Set<string>();
  const backends = items.map((item) => {
    const backend = parseBackend(item, context);
    if (names.has(backend.name)) throw yamlError(item, `The name "${backend.name}" is used twice; every backend needs its own.`);
    names.add(backend.name);
    return backend;
  });
  items.forEach((item, at) => refuseBadFallbacks(item, backends, backends[at]?.name ?? ''));
  return backends;
}

/** Only now are all names known. */
function refuseBadFallbacks(item: YamlPlace, backends: readonly BackendConfig[], own: string): void {
  const place = readMap(item, BACKEND_KEYS).get('fallbacks');
  if (place === undefined) return;
  for (const each of readList(place, BACKENDS_MAX)) {
    if (readBackendName(each, backends) === own) throw yamlError(each, 'A backend cannot be its own fallback; remove it.');
  }
}

const BACKEND_KEYS = [
  'name', 'type', 'endpoint', 'capabilities', 'cost_per_1k',
  'endpoints', 'model', 'adapters', 'kinds', 'prices', 'context_window', 'size', 'external', 'weight', 'fallbacks', 'api_key_env', 'timeout_ms', 'first_byte_timeout_ms',
  'max_attempts', 'max_concurrent', 'max_queue', 'vllm', 'script', 'labels',
] as const;

function parseBackend(place: YamlPlace, { env, internalHosts }: BackendContext): BackendConfig {
  const entries = readMap(place, BACKEND_KEYS);
  const optional = optionalIn(entries);
  const name = readString(required(entries, 'name', place));
  const type = readOneOf(required(entries, 'type', place), BACKEND_TYPES);
  const endpoints = readEndpoints(entries, place, type);
  const timeoutMs = optional('timeout_ms', count(LIMITS.thinkTimeoutCeilingMs, 1), BACKEND_DEFAULTS.timeoutMs);
  const keyPlace = entries.get('api_key_env');
  const looksExternal = endpoints.some((endpoint) => isExternal(endpoint, internalHosts));
  return {
    name,
    type,
    endpoints,
    script: type === 'scripted' ? readString(required(entries, 'script', place)) : refuse(entries.get('script'), type, ''),
    model: optional('model', readString, name),
    adapters: optional('adapters', (at) => readStrings(at, ADAPTERS_MAX), []),
    capabilities: optional('capabilities', (at) => readStrings(at, CAPABILITIES_MAX), []),
    kinds: optional<readonly RequestKind[]>('kinds', (at) => readList(at, REQUEST_KINDS.length).map((each) => readOneOf(each, REQUEST_KINDS)), BACKEND_DEFAULTS.kinds),
    prices: parsePrices(entries.get('prices'), optional('cost_per_1k', (at) => readNumber(at, { min: 0, max: 1_000 }), 0)),
    contextWindow: optional<number | null>('context_window', count(100_000_000, 1), null),
    size: optional<BackendConfig['size']>('size', (at) => readOneOf(at, BACKEND_SIZES), null),
    external: optional('external', readBoolean, looksExternal),
    externalByName: looksExternal && !entries.has('external'),
    weight: optional('weight', (at) => readNumber(at, { min: 0, max: 1_000 }), 1),
    fallbacks: optional('fallbacks', (at) => readStrings(at, BACKENDS_MAX), []),
    ...(keyPlace === undefined ? {} : { apiKey: readSecret(keyPlace, env, { key: 'api_key_env', what: 'the API key' }) }),
    timeoutMs,
    // Without its own: a slow queue at the server is only bounded by the whole.
    firstByteTimeoutMs: optional('first_byte_timeout_ms', count(timeoutMs, 1), timeoutMs),
    maxAttempts: optional('max_attempts', count(ATTEMPTS_MAX, 1), BACKEND_DEFAULTS.maxAttempts),
    maxConcurrent: optional('max_concurrent', count(65_536, 1), BACKEND_DEFAULTS.maxConcurrent),
    maxQueue: optional('max_queue', count(65_536), BACKEND_DEFAULTS.maxQueue),
    vllm: parseVllm(entries.get('vllm'), type),
    labels: { ...optional('labels', readLabels, {}), ...(type === 'scripted' ? { simulated: 'true' } : {}) },
  };
}

function refuse<T>(place: YamlPlace | undefined, type: BackendType, otherwise: T): T {
  if (place !== undefined) throw yamlError(place, `A backend of type ${type} has no "${place.path.split('.').at(-1)}"; remove it.`);
  return otherwise;
}

/** `endpoint` for one server, `endpoints` for several. */
function readEndpoints(entries: ReadonlyMap<string, YamlPlace>, place: YamlPlace, type: BackendType): readonly string[] {
  const [one, several] = [entries.get('endpoint'), entries.get('endpoints')];
  if (type === 'scripted') return refuse(one ?? several, type, []);
  if (one !== undefined && several !== undefined) throw yamlError(several, 'Give either "endpoint" or "endpoints", not both.');
  if (several === undefined) return [readEndpoint(required(entries, 'endpoint', place))];
  const endpoints = readList(several, ENDPOINTS_MAX).map(readEndpoint);
  if (endpoints.length === 0) throw yamlError(several, 'At least one endpoint is needed.');
  if (new Set(endpoints).size < endpoints.length) throw yamlError(several, 'An endpoint is listed twice; each server counts once.');
  return endpoints;
}

function readEndpoint(place: YamlPlace): string {
  const text = readString(place);
  const problem = describeBadEndpoint(text);
  if (problem !== null) throw yamlError(place, problem);
  return text;
}

/** Null when `text` can be a model server's base URL. */
export function describeBadEndpoint(text: string): string | null {
  if (!URL.canParse(text)) return 'The endpoint is not a URL; write it like http://host:8000 or https://host/v1.';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'The endpoint must begin with http:// or https://.';
  if (url.username !== '' || url.password !== '') return 'The endpoint must not carry a user name or password; name the variable of the key in api_key_env.';
  return null;
}

/** The document's one price holds for every token; `prices` tells input, cached input and output apart, per million. */
function parsePrices(place: YamlPlace | undefined, costPer1k: number): Prices {
  const flat = costPer1k * PER_MILLION;
  if (place === undefined) return { input: flat, cachedInput: flat, output: flat };
  const entries = readMap(place, ['input_per_1m', 'cached_input_per_1m', 'output_per_1m']);
  const optional = optionalIn(entries);
  const price = (at: YamlPlace): number => readNumber(at, { min: 0, max: 1_000_000 });
  const input = optional('input_per_1m', price, flat);
  return { input, cachedInput: optional('cached_input_per_1m', price, input), output: optional('output_per_1m', price, flat) };
}

function parseVllm(place: YamlPlace | undefined, type: BackendType): VllmConfig {
  if (place === undefined) return BACKEND_DEFAULTS.vllm;
  if (type !== 'vllm') throw yamlError(place, 'Only a backend of type vllm has "vllm"; remove it.');
  const optional = optionalIn(readMap(place, ['cache_sharing', 'priority', 'metrics_interval_seconds']));
  return {
    cacheSharing: optional<VllmConfig['cacheSharing']>('cache_sharing', (at) => readOneOf(at, ['tenant', 'all', 'key'] as const), BACKEND_DEFAULTS.vllm.cacheSharing),
    priority: optional<boolean>('priority', readBoolean, BACKEND_DEFAULTS.vllm.priority),
    metricsIntervalMs: optional<number>('metrics_interval_seconds', seconds(3_600), BACKEND_DEFAULTS.vllm.metricsIntervalMs),
  };
}

/** A key or an address with a password, from the variable that the place names. */
function readSecret(place: YamlPlace, env: Environment, { key, what }: { readonly key: string; readonly what: string }): () => string {
  const variable = readString(place);
  const value = env[variable]?.trim() ?? '';
  if (value === '') throw yamlError(place, `The environment variable ${variable} is not set; set it to ${what}, or remove ${key}.`);
  assertHeaderSafe(value, variable);
  return () => value;
}

/** A key with a line break would be refused by the HTTP client with an error that shows the key. */
export function assertHeaderSafe(key: string, variable: string): void {
  if (/^[\x21-\x7e]+$/.test(key)) return;
  throw new PlatformError('invalid_input', `The value of ${variable} is no usable API key: it contains spaces or characters that a header cannot carry.`, {
    details: { field: variable },
  });
}

function readLabels(place: YamlPlace): Readonly<Record<string, string>> {
  return Object.fromEntries([...readMap(place, 'any')].map(([key, at]) => [key, readString(at)]));
}

function parseRouting(place: YamlPlace | undefined): RoutingConfig {
  const base = CONFIG_DEFAULTS.routing;
  if (place === undefined) return base;
  const parts = readMap(place, ['simple', 'affinity', 'breaker', 'retry_budget']);
  const part = (key: string, keys: readonly string[]) => {
    const at = parts.get(key);
    return optionalIn(at === undefined ? new Map<string, YamlPlace>() : readMap(at, keys));
  };
  const simple = part('simple', ['max_prompt_tokens', 'max_turns', 'max_answer_tokens']);
  const affinity = part('affinity', ['enabled', 'min_prefix_chars', 'max_imbalance']);
  const breaker = part('breaker', ['failures', 'open_seconds']);
  const budget = part('retry_budget', ['percent', 'min_per_second']);
  return {
    simple: {
      maxPromptTokens: simple('max_prompt_tokens', count(1_000_000), base.simple.maxPromptTokens),
      maxTurns: simple('max_turns', count(1_000), base.simple.maxTurns),
      maxAnswerTokens: simple('max_answer_tokens', count(1_000_000), base.simple.maxAnswerTokens),
    },
    affinity: {
      enabled: affinity<boolean>('enabled', readBoolean, base.affinity.enabled),
      minPrefixChars: affinity('min_prefix_chars', count(1_000_000, 64), base.affinity.minPrefixChars),
      maxImbalance: affinity('max_imbalance', count(10_000, 1), base.affinity.maxImbalance),
    },
    breaker: { failures: breaker('failures', count(1_000, 1), base.breaker.failures), openMs: breaker('open_seconds', seconds(3_600, 0.001), base.breaker.openMs) },
    retryBudget: { percent: budget('percent', (at) => readNumber(at, { min: 0, max: 100 }), base.retryBudget.percent), minPerSecond: budget('min_per_second', (at) => readNumber(at, { min: 0, max: 10_000 }), base.retryBudget.minPerSecond) },
  };
}

function parseCache(place: YamlPlace | undefined, env: Environment): CacheConfig {
  const base = CONFIG_DEFAULTS.cache;
  if (place === undefined) return base;
  const entries = readMap(place, ['l1', 'l2', 'redis_url_env', 'max_entry_bytes']);
  const level = (key: string, keys: readonly string[]) => {
    const at = entries.get(key);
    return optionalIn(at === undefined ? new Map<string, YamlPlace>() : readMap(at, keys));
  };
  const l1 = level('l1', ['enabled', 'max_bytes', 'ttl_seconds']);
  const l2 = level('l2', ['enabled', 'ttl_seconds']);
  const redis = entries.get('redis_url_env');
  return {
    l1: { enabled: l1<boolean>('enabled', readBoolean, base.l1.enabled), maxBytes: l1('max_bytes', count(17_179_869_184, 1_024), base.l1.maxBytes), ttlMs: l1('ttl_seconds', seconds(30 * DAY_MS, 0.001), base.l1.ttlMs) },
    l2: { enabled: l2<boolean>('enabled', readBoolean, base.l2.enabled), ttlMs: l2('ttl_seconds', seconds(30 * DAY_MS, 0.001), base.l2.ttlMs) },
    ...(redis === undefined ? {} : { redisUrl: readRedisUrl(redis, env) }),
    maxEntryBytes: optionalIn(entries)('max_entry_bytes', count(33_554_432, 1_024), base.maxEntryBytes),
  };
}

function readRedisUrl(place: YamlPlace, env: Environment): () => string {
  const url = readSecret(place, env, { key: 'redis_url_env', what: 'the URL of a Redis, such as redis://host:6379' });
  if (!isRedisUrl(url())) throw yamlError(place, `The environment variable ${readString(place)} is not the URL of a Redis; write it like redis://host:6379 or rediss://user:password@host:6380.`);
  return url;
}

/** As the client takes it: the path is the number of a database. */
function isRedisUrl(text: string): boolean {
  if (!/^rediss?:/.test(text) || !URL.canParse(text)) return false;
  const { hostname, pathname } = new URL(text);
  return hostname !== '' && /^\/?\d*$/.test(pathname);
}

function parseSemanticCache(place: YamlPlace | undefined, backends: readonly BackendConfig[]): SemanticCacheConfig {
  const base: SemanticCacheConfig = CONFIG_DEFAULTS.semanticCache;
  if (place === undefined) return base;
  const entries = readMap(place, ['enabled', 'backend', 'similarity_threshold', 'embedding_backend', 'ttl_seconds', 'max_entries', 'shadow', 'multi_turn', 'guard']);
  const optional = optionalIn(entries);
  const embedding = entries.get('embedding_backend');
  const embedder = embedding === undefined ? null : readEmbedder(embedding, backends);
  return {
    enabled: optional('enabled', readBoolean, base.enabled),
    backend: optional<SemanticCacheConfig['backend']>('backend', (at) => readOneOf(at, ['redis-vector', 'postgres', 'memory'] as const), base.backend),
    similarityThreshold: optional('similarity_threshold', (at) => readNumber(at, { min: 0, max: 1 }), base.similarityThreshold),
    embeddingBackend: embedder?.name ?? null,
    embeddingModel: embedder?.model ?? null,
    ttlMs: optional('ttl_seconds', seconds(30 * DAY_MS, 0.001), base.ttlMs),
    maxEntries: optional('max_entries', count(10_000_000, 1), base.maxEntries),
    shadow: optional('shadow', (at) => readNumber(at, { min: 0, max: 1 }), base.shadow),
    multiTurn: optional('multi_turn', readBoolean, base.multiTurn),
    guard: optional('guard', readBoolean, base.guard),
  };
}

function readEmbedder(place: YamlPlace, backends: readonly BackendConfig[]): BackendConfig {
  const name = readBackendName(place, backends);
  const found = backends.find((each) => each.name === name);
  if (found?.kinds.includes('embeddings') !== true) throw yamlError(place, 'This backend makes no embeddings; add kinds: [embeddings] to it, or name another.');
  return found;
}

function parseInternalHosts(place: YamlPlace): readonly string[] {
  const hosts = readMap(place, ['internal_hosts']).get('internal_hosts');
  return hosts === undefined ? [] : readStrings(hosts, 1_000).map((host) => host.toLowerCase());
}

function parseLimits(place: YamlPlace | undefined, backends: readonly BackendConfig[]): readonly LimitConfig[] {
  return place === undefined ? [] : readList(place, LIMITS_MAX).map((at) => parseLimit(at, backends));
}

function parseLimitsIn(place: YamlPlace | undefined, { redisUrl }: CacheConfig): GatewayConfig['limitsIn'] {
  if (place === undefined) return CONFIG_DEFAULTS.limitsIn;
  const store = readOneOf(place, LIMIT_STORES);
  if (store === 'redis' && redisUrl === undefined) throw yamlError(place, 'There is no Redis to count limits in: name the variable of its URL in cache.redis_url_env, or remove limits_in.');
  return store;
}

/** A whole life is that of a key, and the key has it. */
const { usdTotal: _life, ...NOT_LIMITED } = NO_MODEL_LIMITS;
const CONFIGURED_LIMITS = MODEL_LIMIT_FIELDS.filter(({ of }) => of !== 'usdTotal');

function parseLimit(place: YamlPlace, backends: readonly BackendConfig[]): LimitConfig {
  const names = CONFIGURED_LIMITS.map(({ name }) => name);
  const entries = readMap(place, ['per', 'name', ...names]);
  const optional = optionalIn(entries);
  const per = readOneOf(required(entries, 'per', place), LIMIT_SUBJECTS);
  const amounts = CONFIGURED_LIMITS.map(({ of, name, unit }) => {
    const { min, max } = MODEL_LIMIT_BOUNDS[unit];
    return [of, optional<number | null>(name, unit === 'usd' ? (at) => readNumber(at, { min, max }) : count(max, min), null)] as const;
  });
  if (amounts.every(([, amount]) => amount === null)) throw yamlError(place, `This limit limits nothing; give it one of ${names.join(', ')}.`);
  return { ...NOT_LIMITED, ...Object.fromEntries(amounts), per, name: optional<string | null>('name', (at) => (per === 'model' ? readBackendName(at, backends) : readString(at)), null) };
}
