import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import { describeInactiveSettings, parseGatewayConfig } from './config.ts';
import { parseEndpoint } from './endpoint.ts';
import { isExternal } from './is-external.ts';
import { withOpenAiEnvironment } from './openai-environment.ts';

/** Section 12.2 of the architecture document, verbatim. */
const DOCUMENT_EXAMPLE = `# 模型服务网关配置
routing_strategy: "cost_optimized" # cost_optimized | latency_optimized

backends:
  - name: "security-finetuned-72b"
    type: "vllm"
    endpoint: "http://msig-inference-vllm:8000"
    capabilities: ["security_analysis", "code_audit"]
    cost_per_1k: 0.0

  - name: "general-gpt4"
    type: "openai"
    endpoint: "https://api.openai.com/v1"
    capabilities: ["general_chat", "summarization"]
    cost_per_1k: 0.03

# 语义缓存配置
semantic_cache:
  enabled: true
  backend: "redis-vector"
  similarity_threshold: 0.92
`;

function failureOf(work: () => unknown): PlatformError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof PlatformError) return thrown;
    throw thrown;
  }
  throw new Error('expected a PlatformError');
}

describe('the configuration', () => {
  it('of the document is read verbatim', () => {
    const config = parseGatewayConfig(DOCUMENT_EXAMPLE, {});
    expect(config).toMatchObject({
      routingStrategy: 'cost_optimized',
      defaultBackend: 'security-finetuned-72b',
      backends: [
        {
          name: 'security-finetuned-72b', type: 'vllm', endpoints: ['http://msig-inference-vllm:8000'], model: 'security-finetuned-72b', capabilities: ['security_analysis', 'code_audit'],
          prices: { input: 0, cachedInput: 0, output: 0 }, external: false, timeoutMs: 30_000, firstByteTimeoutMs: 30_000, maxAttempts: 2, kinds: ['chat', 'completions', 'responses'],
        },
        {
          name: 'general-gpt4', type: 'openai', endpoints: ['https://api.openai.com/v1'], model: 'general-gpt4', capabilities: ['general_chat', 'summarization'],
          prices: { input: 30, cachedInput: 30, output: 30 }, external: true,
        },
      ],
      cache: { l1: { enabled: false }, l2: { enabled: false } },
      semanticCache: { enabled: true, backend: 'redis-vector', similarityThreshold: 0.92, embeddingBackend: null, guard: true, multiTurn: false, shadow: 0 },
      limits: [],
    });
    expect(describeInactiveSettings(config)).toEqual([
      expect.stringContaining('the vectors are kept in memory'),
      expect.stringContaining('by their words alone'),
    ]);
  });

  it('as shipped has one backend, labelled as simulated', () => {
    const text = readFileSync(new URL('../../../../configs/msig.yaml', import.meta.url), 'utf8');
    const config = parseGatewayConfig(text, {});
    expect(config.defaultBackend).toBe('scripted-demo');
    expect(config.backends).toMatchObject([{ name: 'scripted-demo', type: 'scripted', script: 'scripts/security-triage.yaml', labels: { simulated: 'true' } }]);
    expect(describeInactiveSettings(config)).toEqual([]);
  });

  it('takes keys from the environment and shows them nowhere', () => {
    const config = parseGatewayConfig('backends: [{name: a, type: vllm, endpoint: "http://h", api_key_env: K, timeout_ms: 100, model: m, labels: {x: y}}]', { K: ' sk-secret\n' });
    expect(config.backends[0]?.apiKey?.()).toBe('sk-secret');
    expect(config.backends[0]).toMatchObject({ timeoutMs: 100, firstByteTimeoutMs: 100, model: 'm', labels: { x: 'y' } });
    expect(JSON.stringify(config) + inspect(config, { depth: null })).not.toContain('sk-secret');
  });

  it.each([
    ['backends: [{name: a, type: vllm, endpoint: "http://h"}]\nrouting_stratgy: x', '2:1', 'Did you mean "routing_strategy"?'],
    ['backends:\n  - name: a\n    type: vllm\n    endpont: "http://h"', '4:5', 'Did you mean "endpoint"?'],
    ['backends:\n  - name: a\n    type: vlm\n    endpoint: "http://h"', '3:11', 'vllm, openai, scripted'],
    ['backends:\n  - name: a\n    type: vllm', '2:5', '"endpoint" is missing'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "host:8000"}', '2:37', 'http://'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://u:p@h"}', '2:37', 'api_key_env'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", cost_per_1k: "1"}', '2:62', 'must be a number'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", timeout_ms: 0}', '2:61', 'from 1 to'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", timeout_ms: 50, first_byte_timeout_ms: 60}', '2:88', 'from 1 to 50'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", api_key_env: MISSING}', '2:62', 'MISSING is not set'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", capabilities: x}', '2:63', 'must be a list'],
    ['backends:\n  - {name: a, type: scripted}', '2:5', '"script" is missing'],
    ['backends:\n  - {name: a, type: scripted, script: s, endpoint: "http://h"}', '2:52', 'remove it'],
    ['backends:\n  - {name: a, type: scripted, script: s}\n  - {name: a, type: scripted, script: s}', '3:5', 'used twice'],
    ['default_backend: b\nbackends: [{name: a, type: scripted, script: s}]', '1:18', 'No backend is named "b"'],
    ['backends: []', '1:11', 'At least one'],
    ['backends: [{name: a, type: scripted, script: s}]\nsemantic_cache: {enabled: "yes"}', '2:27', 'true or false'],
    ['backends: [{name: a, type: scripted, script: s}]\nsemantic_cache: {similarity_threshold: 92}', '2:40', 'from 0 to 1'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", endpoints: ["http://i"]}', '2:60', 'not both'],
    ['backends:\n  - {name: a, type: vllm, endpoints: ["http://h", "http://h"]}', '2:38', 'listed twice'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", fallbacks: [b]}', '2:61', 'No backend is named "b"'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", fallbacks: [a]}', '2:61', 'its own fallback'],
    ['backends:\n  - {name: a, type: openai, endpoint: "http://h", vllm: {priority: true}}', '2:57', 'Only a backend of type vllm'],
    ['backends:\n  - {name: a, type: vllm, endpoint: "http://h", kinds: [chats]}', '2:57', 'must be one of chat'],
    ['backends: [{name: a, type: scripted, script: s}]\ncache: {redis_url_env: NOPE}', '2:24', 'NOPE is not set'],
    ['backends: [{name: a, type: scripted, script: s}]\nlimits_in: memory', '2:12', 'must be one of postgres, redis'],
    ['backends: [{name: a, type: scripted, script: s}]\nlimits_in: redis', '2:12', 'cache.redis_url_env'],
    ['backends: [{name: a, type: scripted, script: s}]\nsemantic_cache: {embedding_backend: a}', '2:37', 'makes no embeddings'],
    ['backends: [{name: a, type: scripted, script: s}]\nlimits: [{per: key}]', '2:10', 'limits nothing'],
    ['backends: [{name: alpha, type: scripted, script: s}]\nlimits: [{per: model, name: alpa, requests_per_minute: 1}]', '2:29', 'No backend is named "alpa". Did you mean "alpha"?'],
    ['backends: [{name: a, type: scripted, script: s}]\nlimits: [{per: key, usd_per_day: 9000001}]', '2:34', 'must be a number from 0.000001 to 9000000'],
    ['backends: [\n', '2:1', 'not valid YAML'],
    ['', '1:1', 'must be a mapping'],
    ['a: 1\na: 2', '2:1', 'not valid YAML'],
  ])('%j is refused at %s with the cure', (text, at, cure) => {
    const error = failureOf(() => parseGatewayConfig(text, {}, 'm.yaml'));
    expect(error.code).toBe('invalid_input');
    expect(error.message).toContain(cure);
    expect(error.message.startsWith(`m.yaml:${at}: `)).toBe(true);
  });
});

describe('limits', () => {
  const of = (more: string): string => parseGatewayConfig(`backends: [{name: a, type: scripted, script: s}]\n${more}`, { REDIS_URL: 'redis://h:6379' }).limitsIn;

  it('are counted in Redis only when that is asked for: a cache may forget, a budget may not', () => {
    expect([of(''), of('cache: {redis_url_env: REDIS_URL}'), of('cache: {redis_url_env: REDIS_URL}\nlimits_in: redis')]).toEqual(['postgres', 'postgres', 'redis']);
  });
});

describe('the URL of a Redis', () => {
  const of = (url: string): string | undefined => parseGatewayConfig('backends: [{name: a, type: scripted, script: s}]\ncache: {redis_url_env: REDIS_URL}', { REDIS_URL: url }).cache.redisUrl?.();

  it.each(['redis://host:6379', 'rediss://user:p%40ss@host:6380/0', 'redis://host/', 'redis://[::1]:6379/15'])('may be %s', (url) => {
    expect(of(url)).toBe(url);
  });

  it.each(['http://host:6379', 'redis:///0', 'redis://host:port', 'redis://host/cache', 'redis://user:a/b@host'])('may not be %s, and is not shown', (url) => {
    const { message } = failureOf(() => of(url));
    expect(message).toContain('REDIS_URL is not the URL of a Redis');
    expect(message).not.toContain(url);
  });
});

describe('the backend that embeds', () => {
  it('is known with its model: another model makes other vectors', () => {
    const of = (model: string) => parseGatewayConfig(`backends: [{name: e, type: vllm, endpoint: "http://h", kinds: [embeddings]${model}}]\nsemantic_cache: {enabled: true, embedding_backend: e}`, {}).semanticCache;
    expect([of(''), of(', model: minilm')]).toMatchObject([{ embeddingBackend: 'e', embeddingModel: 'e' }, { embeddingBackend: 'e', embeddingModel: 'minilm' }]);
  });
});

describe('the OPENAI_* variables', () => {
  const config = parseGatewayConfig(DOCUMENT_EXAMPLE, {});

  it('unset or empty change nothing', () => {
    expect(withOpenAiEnvironment(config, { baseUrl: undefined, apiKey: '', model: 'm' })).toBe(config);
  });

  it('put their server first, as the default and for every capability', () => {
    const changed = withOpenAiEnvironment(config, { baseUrl: 'http://127.0.0.1:1/v1/', apiKey: 'sk-1', model: 'm' });
    expect(changed.defaultBackend).toBe('openai');
    expect(changed.backends.map((backend) => backend.name)).toEqual(['openai', 'security-finetuned-72b', 'general-gpt4']);
    expect(changed.backends[0]).toMatchObject({ model: 'm', endpoints: ['http://127.0.0.1:1/v1/'], external: false, capabilities: ['security_analysis', 'code_audit', 'general_chat', 'summarization'] });
    expect(changed.backends[0]?.apiKey?.()).toBe('sk-1');
  });

  it('with a key alone mean OpenAI itself, with a URL alone a server without a key', () => {
    expect(withOpenAiEnvironment(config, { baseUrl: undefined, apiKey: 'sk-1', model: undefined }).backends[0]).toMatchObject({ endpoints: ['https://api.openai.com/v1'], external: true, model: '' });
    expect(withOpenAiEnvironment(config, { baseUrl: 'http://h', apiKey: undefined, model: undefined }).backends[0]?.apiKey).toBeUndefined();
  });

  it('that cannot be used are refused without being shown', () => {
    expect(failureOf(() => withOpenAiEnvironment(config, { baseUrl: 'ftp://secret', apiKey: undefined, model: undefined })).message).not.toContain('secret');
    expect(failureOf(() => withOpenAiEnvironment(config, { baseUrl: undefined, apiKey: 'sk-se\ncret', model: undefined })).message).not.toContain('cret');
  });
});

describe('a server', () => {
  it.each([
    ['https://api.openai.com/v1', true], ['http://8.8.8.8', true], ['https://vllm.example.org', true], ['http://10.evil.com', true], ['http://[2001:db8::1]', true], ['http://0x08080808/', true],
    ['http://msig-inference-vllm:8000', false], ['http://127.0.0.1:1', false], ['http://10.0.0.7', false], ['http://172.31.0.1', false], ['http://[::1]:1', false], ['http://[fd00::1]', false],
    ['http://vllm.models.svc', false], ['http://vllm.models.svc.cluster.local', false], ['http://localhost:1', false], ['https://llm.bank.example', false], ['https://a.corp.example', false],
  ])('at %s is outside: %s', (endpoint, outside) => {
    expect(isExternal(endpoint, ['llm.bank.example', '.corp.example'])).toBe(outside);
  });

  it('may be said to be inside or outside by the configuration', () => {
    const of = (external: string): boolean | undefined => parseGatewayConfig(`backends: [{name: a, type: openai, endpoint: "https://h.example/v1"${external}}]`, {}).backends[0]?.external;
    expect([of(''), of(', external: false'), of(', external: true')]).toEqual([true, false, true]);
  });

  it('of vLLM that is outside by its host name alone is told, for most are not', () => {
    const notesOf = (type: string, more = ''): readonly string[] => describeInactiveSettings(parseGatewayConfig(`backends: [{name: a, type: ${type}, endpoints: ["http://h", "http://h-1.headless:8000"]${more}}]`, {}));
    expect(notesOf('vllm')).toEqual([expect.stringMatching(/^backends: "a" .* masked.* external: false/)]);
    expect([notesOf('vllm', ', external: false'), notesOf('vllm', ', external: true'), notesOf('openai')]).toEqual([[], [], []]);
  });
});

describe('an endpoint', () => {
  it.each([
    ['http://host:8000', 'http://host:8000', '/v1'],
    ['http://host:8000/', 'http://host:8000', '/v1'],
    ['https://api.openai.com/v1', 'https://api.openai.com', '/v1'],
    ['https://api.openai.com/v1/', 'https://api.openai.com', '/v1'],
    ['https://host/proxy/openai/v1/chat/completions', 'https://host', '/proxy/openai/v1'],
  ])('%s leads to the right base', (text, origin, basePath) => {
    expect(parseEndpoint(text)).toEqual({ origin, basePath });
  });
});
