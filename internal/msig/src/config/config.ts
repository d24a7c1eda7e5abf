import { LIMITS, PlatformError } from '@openeaap/kernel';
import { openYaml, readBoolean, readList, readMap, readNumber, readOneOf, readString, readStrings, required, suggest, yamlError } from './yaml-place.ts';
import type { YamlPlace } from './yaml-place.ts';

export const ROUTING_STRATEGIES = ['cost_optimized', 'latency_optimized'] as const;
export const BACKEND_TYPES = ['vllm', 'openai', 'scripted'] as const;

export type BackendType = (typeof BACKEND_TYPES)[number];

/** `configs/msig.yaml`, parsed: every default filled in. */
export interface GatewayConfig {
  readonly routingStrategy: (typeof ROUTING_STRATEGIES)[number];
  /** Name of the backend for requests that name none; always one of `backends`. */
  readonly defaultBackend: string;
  readonly backends: readonly BackendConfig[];
  readonly semanticCache: SemanticCacheConfig;
}

export interface BackendConfig {
  readonly name: string;
  readonly type: BackendType;
  /** Base URL as configured; empty for a backend without a server. */
  readonly endpoint: string;
  /** What is sent as `model`; empty: the first that the server lists. */
  readonly model: string;
  readonly capabilities: readonly string[];
  /** USD per 1,000 tokens, prompt and completion alike. */
  readonly costUsdPer1k: number;
  /** A function, so that neither JSON nor a log line of the configuration can show the key. */
  readonly apiKey?: () => string;
  /** Bound of one chat, all tries together. */
  readonly timeoutMs: number;
  /** Silence before the first byte of an answer; at most `timeoutMs`. */
  readonly firstByteTimeoutMs: number;
  /** Tries of one chat while nothing has been passed on. */
  readonly maxAttempts: number;
  /** Path of the script, relative to the configuration file; empty where the type has none. */
  readonly script: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface SemanticCacheConfig {
  readonly enabled: boolean;
  readonly backend: string;
  readonly similarityThreshold: number;
}

export const BACKEND_DEFAULTS = {
  /** The document gives the gateway 30 s before the fallback reply (section 19). */
  timeoutMs: LIMITS.thinkTimeoutMs,
  /** One more try hides a dropped keep-alive connection or a short 429; the orchestrator has tries of its own. */
  maxAttempts: 2,
} as const;

const BACKENDS_MAX = 256;
const CAPABILITIES_MAX = 64;
const ATTEMPTS_MAX = 5;
const NO_CACHE: SemanticCacheConfig = { enabled: false, backend: 'memory', similarityThreshold: 0.92 };

/**
 * Parses `configs/msig.yaml` (document section 12.2 and our additions). `env` is only asked for
 * the variables that an `api_key_env` names; `file` is what error messages call the file.
 * Errors: `invalid_input` whose message is `file:line:column: what is wrong and the cure`.
 */
export function parseGatewayConfig(
  yamlText: string,
  env: Readonly<Record<string, string | undefined>>,
  file = 'configs/msig.yaml',
): GatewayConfig {
  const root = openYaml(file, yamlText);
  const entries = readMap(root, ['routing_strategy', 'default_backend', 'backends', 'semantic_cache']);
  const backends = parseBackends(required(entries, 'backends', root), env);
  const strategy = entries.get('routing_strategy');
  return {
    routingStrategy: strategy === undefined ? 'cost_optimized' : readOneOf(strategy, ROUTING_STRATEGIES),
    defaultBackend: parseDefaultBackend(entries.get('default_backend'), backends),
    backends,
    semanticCache: parseSemanticCache(entries.get('semantic_cache')),
  };
}

/** What the configuration asks for and this version does not do; one sentence each, for the log at the start. */
export function describeInactiveSettings(config: GatewayConfig): readonly string[] {
  return config.semanticCache.enabled ? ['semantic_cache.enabled is true, but this version answers every request from a backend.'] : [];
}

function parseDefaultBackend(place: YamlPlace | undefined, backends: readonly BackendConfig[]): string {
  const names = backends.map((backend) => backend.name);
  if (place === undefined) return names[0] ?? '';
  const name = readString(place);
  if (!names.includes(name)) throw yamlError(place, `No backend is named "${name}". ${suggest(name, names)}`);
  return name;
}

function parseBackends(place: YamlPlace, env: Readonly<Record<string, string | undefined>>): readonly BackendConfig[] {
  const items = readList(place, BACKENDS_MAX);
  if (items.length === 0) throw yamlError(place, 'At least one backend is needed.');
  const names = new Set<string>();
  return items.map((item) => {
    const backend = parseBackend(item, env);
    if (names.has(backend.name)) throw yamlError(item, `The name "${backend.name}" is used twice; every backend needs its own.`);
    names.add(backend.name);
    return backend;
  });
}

const BACKEND_KEYS = [
  'name', 'type', 'endpoint', 'capabilities', 'cost_per_1k',
  'model', 'api_key_env', 'timeout_ms', 'first_byte_timeout_ms', 'max_attempts', 'script', 'labels',
] as const;

function parseBackend(place: YamlPlace, env: Readonly<Record<string, string | undefined>>): BackendConfig {
  const entries = readMap(place, BACKEND_KEYS);
  const name = readString(required(entries, 'name', place));
  const type = readOneOf(required(entries, 'type', place), BACKEND_TYPES);
  const optional = <T>(key: (typeof BACKEND_KEYS)[number], read: (at: YamlPlace) => T, otherwise: T): T => {
    const at = entries.get(key);
    return at === undefined ? otherwise : read(at);
  };
  const timeoutMs = optional('timeout_ms', (at) => readNumber(at, { min: 1, max: LIMITS.thinkTimeoutCeilingMs, integer: true }), BACKEND_DEFAULTS.timeoutMs);
  const keyPlace = entries.get('api_key_env');
  return {
    name,
    type,
    endpoint: type === 'scripted' ? refuse(entries.get('endpoint'), type) : readEndpoint(required(entries, 'endpoint', place)),
    script: type === 'scripted' ? readString(required(entries, 'script', place)) : refuse(entries.get('script'), type),
    model: optional('model', readString, name),
    capabilities: optional('capabilities', (at) => readStrings(at, CAPABILITIES_MAX), []),
    costUsdPer1k: optional('cost_per_1k', (at) => readNumber(at, { min: 0, max: 1_000 }), 0),
    ...(keyPlace === undefined ? {} : { apiKey: readApiKey(keyPlace, env) }),
    timeoutMs,
    // Without its own: a slow queue at the server is only bounded by the whole.
    firstByteTimeoutMs: optional('first_byte_timeout_ms', (at) => readNumber(at, { min: 1, max: timeoutMs, integer: true }), timeoutMs),
    maxAttempts: optional('max_attempts', (at) => readNumber(at, { min: 1, max: ATTEMPTS_MAX, integer: true }), BACKEND_DEFAULTS.maxAttempts),
    labels: { ...optional('labels', readLabels, {}), ...(type === 'scripted' ? { simulated: 'true' } : {}) },
  };
}

function refuse(place: YamlPlace | undefined, type: BackendType): '' {
  if (place !== undefined) throw yamlError(place, `A backend of type ${type} has no "${place.path.split('.').at(-1)}"; remove it.`);
  return '';
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

function readApiKey(place: YamlPlace, env: Readonly<Record<string, string | undefined>>): () => string {
  const variable = readString(place);
  const key = env[variable]?.trim() ?? '';
  if (key === '') throw yamlError(place, `The environment variable ${variable} is not set; set it to the API key, or remove api_key_env.`);
  assertHeaderSafe(key, variable);
  return () => key;
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

function parseSemanticCache(place: YamlPlace | undefined): SemanticCacheConfig {
  if (place === undefined) return NO_CACHE;
  const entries = readMap(place, ['enabled', 'backend', 'similarity_threshold']);
  const enabled = entries.get('enabled');
  const backend = entries.get('backend');
  const threshold = entries.get('similarity_threshold');
  return {
    enabled: enabled === undefined ? NO_CACHE.enabled : readBoolean(enabled),
    backend: backend === undefined ? NO_CACHE.backend : readString(backend),
    similarityThreshold: threshold === undefined ? NO_CACHE.similarityThreshold : readNumber(threshold, { min: 0, max: 1 }),
  };
}
