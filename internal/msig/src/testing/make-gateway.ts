import type { Tracer } from '@opentelemetry/api';
import type { ChatRequest } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import { BACKEND_DEFAULTS, CONFIG_DEFAULTS } from '../config/config.ts';
import type { BackendConfig, GatewayConfig, Prices } from '../config/gateway-config.ts';
import { createGateway } from '../gateway.ts';
import type { ChatOptions, Gateway, GatewayDeps, GatewayEvent } from '../gateway.ts';
import type { EgressGuard } from '../privacy/egress-guard.ts';

export const ACCESS: Access = { tenantId: 't1', runId: 'r1', stepId: 's1', agentId: 'a1', userId: 'u1', traceId: 'tr1' };

export const HELLO: ChatRequest = { model: '', messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'hello' }] };

/** One price for every token, as the document has it: USD for 1,000. */
export const per1k = (usd: number): Prices => ({ input: usd * 1_000, cachedInput: usd * 1_000, output: usd * 1_000 });

/** A configured OpenAI-compatible backend; the short timeout keeps a broken test short. It asks for no metrics, which the test's server would count as requests. */
export function backendAt(endpoint: string, changes: Partial<BackendConfig> = {}): BackendConfig {
  const timeoutMs = changes.timeoutMs ?? 5_000;
  return {
    ...BACKEND_DEFAULTS,
    vllm: { ...BACKEND_DEFAULTS.vllm, metricsIntervalMs: 0 },
    name: 'b1', type: 'openai', endpoints: endpoint === '' ? [] : [endpoint], model: 'm1', adapters: [], capabilities: ['general_chat'], prices: per1k(0),
    contextWindow: null, size: null, external: false, weight: 1, fallbacks: [], timeoutMs, firstByteTimeoutMs: timeoutMs, script: '', labels: {},
    ...changes,
  };
}

export function configOf(...backends: readonly BackendConfig[]): GatewayConfig {
  return { ...CONFIG_DEFAULTS, routingStrategy: 'cost_optimized', defaultBackend: backends[0]?.name ?? '', backends, privacy: { internalHosts: [] }, limits: [] };
}

/** For tests without an external backend. */
export const NO_EGRESS: EgressGuard = {
  prepare: () => {
    throw new Error('Nothing may leave in this test.');
  },
};

export interface TestGateway extends Gateway {
  readonly observed: readonly GatewayEvent[];
}

export function makeGateway(config: GatewayConfig, parts: { readonly script?: string; readonly tracer?: Tracer } & Partial<GatewayDeps> = {}): TestGateway {
  const observed: GatewayEvent[] = [];
  let lastId = 0;
  const { script, ...others } = parts;
  const gateway = createGateway(config, {
    now: () => performance.timeOrigin + performance.now(),
    newId: () => String((lastId += 1)),
    random: () => 0,
    readScript: () => script ?? '',
    guard: NO_EGRESS,
    auditEgress: async () => undefined,
    saltKey: 'a key for salts in tests',
    observe: (event) => void observed.push(event),
    ...others,
  });
  return { ...gateway, observed };
}

export function chatOptions(changes: Partial<ChatOptions> = {}): ChatOptions {
  return { signal: new AbortController().signal, access: ACCESS, ...changes };
}
