import type { Tracer } from '@opentelemetry/api';
import type { ChatRequest } from '@openeaap/kernel';
import { createGateway } from '../gateway.ts';
import type { Attribution, ChatOptions, Gateway, GatewayEvent } from '../gateway.ts';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';

export const ATTRIBUTION: Attribution = { tenantId: 't1', runId: 'r1', stepId: 's1', agentId: 'a1', userId: 'u1', traceId: 'tr1' };

export const HELLO: ChatRequest = { model: '', messages: [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'hello' }] };

/** A configured OpenAI-compatible backend; the short timeout keeps a broken test short. */
export function backendAt(endpoint: string, changes: Partial<BackendConfig> = {}): BackendConfig {
  const timeoutMs = changes.timeoutMs ?? 5_000;
  return {
    name: 'b1', type: 'vllm', endpoint, model: 'm1', capabilities: ['general_chat'], costUsdPer1k: 0,
    timeoutMs, firstByteTimeoutMs: timeoutMs, maxAttempts: 2, script: '', labels: {},
    ...changes,
  };
}

export function configOf(...backends: readonly BackendConfig[]): GatewayConfig {
  return {
    routingStrategy: 'cost_optimized',
    defaultBackend: backends[0]?.name ?? '',
    backends,
    semanticCache: { enabled: false, backend: 'memory', similarityThreshold: 0.92 },
  };
}

export interface TestGateway extends Gateway {
  readonly observed: readonly GatewayEvent[];
}

export function makeGateway(config: GatewayConfig, parts: { readonly script?: string; readonly tracer?: Tracer } = {}): TestGateway {
  const observed: GatewayEvent[] = [];
  let lastId = 0;
  const gateway = createGateway(config, {
    now: () => performance.timeOrigin + performance.now(),
    newId: () => String((lastId += 1)),
    random: () => 0,
    readScript: () => parts.script ?? '',
    observe: (event) => void observed.push(event),
    ...(parts.tracer === undefined ? {} : { tracer: parts.tracer }),
  });
  return { ...gateway, observed };
}

export function chatOptions(changes: Partial<ChatOptions> = {}): ChatOptions {
  return { signal: new AbortController().signal, attribution: ATTRIBUTION, ...changes };
}
