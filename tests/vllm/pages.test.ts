import { readFileSync } from 'node:fs';
import { describeInactiveSettings, parseGatewayConfig } from '@openeaap/msig';
import type { GatewayConfig } from '@openeaap/msig';
import { describe, expect, it } from 'vitest';
import { fencesOf } from '../docs-plugins/fences.ts';

/** What a reader copies from the pages of the gateway is read by its own parser, and is what the page says. */

const ENVIRONMENT = { MSIG_VLLM_KEY: 'key', OPENAI_KEY: 'key', REDIS_URL: 'redis://redis:6379' };
/** Of a block that shows one part only, the rest of a file. */
const BACKENDS = 'backends:\n  - { name: "embedder", type: "vllm", endpoint: "http://embedder:8000", kinds: ["embeddings"] }\n  - { name: "large-external", type: "openai", endpoint: "https://models.example/v1" }\n';

function configsOn(page: string): readonly GatewayConfig[] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const blocks = fencesOf(text).filter(({ language }) => language === 'yaml');
  return blocks.map((block) => parseGatewayConfig(/^backends:/m.test(block.text) ? block.text : BACKENDS + block.text, ENVIRONMENT, page));
}

describe.each(['models.md', 'vllm.md', 'caching.md', 'model-keys.md'])('the configuration on %s', (page) => {
  it('is one, can be read, and asks for nothing that it would not get', () => {
    const configs = configsOn(page);
    expect(configs).toHaveLength(1);
    expect(configs.flatMap(describeInactiveSettings)).toEqual([]);
  });
});

describe('what the pages say of their configuration', () => {
  it('models.md: servers of the house are inside and OpenAI is outside; each price as it is written', () => {
    const [config] = configsOn('models.md');
    expect(config?.backends.map(({ name, external, size, fallbacks }) => [name, external, size, fallbacks])).toEqual([
      ['local-small', false, 'small', ['local-large']],
      ['local-large', false, 'large', []],
      ['outside', true, null, []],
    ]);
    expect(config?.backends.map(({ prices }) => prices)).toEqual([{ input: 0, cachedInput: 0, output: 0 }, { input: 0.4, cachedInput: 0.1, output: 1.2 }, { input: 30, cachedInput: 30, output: 30 }]);
    expect(config).toMatchObject({ defaultBackend: 'local-small', limitsIn: 'postgres', limits: [{ per: 'key', requestsPerMinute: 600, tokensPerMinute: 200_000 }, { per: 'tenant', usdPerMonth: 500 }] });
  });

  it('vllm.md: the copies are the house’s own, so Confidential content may go there', () => {
    expect(configsOn('vllm.md')[0]?.backends).toMatchObject([{ type: 'vllm', external: false, adapters: ['phishing-lora'], vllm: { cacheSharing: 'tenant', priority: true, metricsIntervalMs: 5_000 } }]);
    expect(configsOn('vllm.md')[0]?.backends[0]?.endpoints).toHaveLength(2);
  });

  it('caching.md: all three levels, by the backend that embeds', () => {
    expect(configsOn('caching.md')[0]).toMatchObject({
      cache: { l1: { enabled: true, ttlMs: 300_000 }, l2: { enabled: true, ttlMs: 3_600_000 }, maxEntryBytes: 1_048_576 },
      semanticCache: { enabled: true, backend: 'redis-vector', similarityThreshold: 0.92, embeddingBackend: 'embedder', guard: true, multiTurn: false, shadow: 0 },
    });
  });

  it('model-keys.md: limits for each of a kind and for one by its name', () => {
    expect(configsOn('model-keys.md')[0]?.limits.map(({ per, name }) => [per, name])).toEqual([['user', null], ['tenant', null], ['model', 'large-external']]);
  });
});
