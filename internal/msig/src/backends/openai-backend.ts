import { PlatformError } from '@openeaap/kernel';
import type { BackendConfig } from '../config/gateway-config.ts';
import { parseEndpoint } from '../config/endpoint.ts';
import type { ModelRequest } from '../request/model-request.ts';
import type { Access } from '../access.ts';
import type { Backend } from './backend.ts';
import { completeOnce } from './complete-once.ts';
import { firstListedModel, openPool } from './openai-upstream.ts';
import { responsesByChat } from './responses-by-chat.ts';
import type { Upstream } from './openai-upstream.ts';

export interface OpenAiBackendDeps {
  readonly now: () => number;
  readonly newId: () => string;
  /** Further top-level members of the body, as JSON; null takes one out. */
  readonly shape: (request: ModelRequest, access: Access) => Readonly<Record<string, string | null>>;
}

interface Server {
  readonly upstream: Upstream;
  readonly model: (signal: AbortSignal) => Promise<string>;
}

/** Servers that speak the OpenAI API and have the same models: OpenAI, vLLM, Ollama, llama.cpp. */
export function createOpenAiBackend(config: BackendConfig, deps: OpenAiBackendDeps): Backend {
  const servers = new Map(config.endpoints.map((endpoint) => [endpoint, openServer(config, endpoint, deps)]));
  const adapters = new Map(config.adapters.map((name) => [name, async () => name]));
  const ask: Backend['ask'] = async (request, call) => {
    const server = servers.get(call.endpoint);
    if (server === undefined) throw new PlatformError('internal', `The backend "${config.name}" has no server at the asked address.`);
    const target = { model: adapters.get(request.model) ?? server.model, newId: deps.newId, members: deps.shape(request, call.access) };
    return completeOnce(server.upstream, target, { completion: request, call });
  };
  return {
    ask: config.kinds.includes('responses') ? ask : responsesByChat(ask, { newId: deps.newId, now: deps.now }),
    close: async () => {
      await Promise.all([...servers.values()].map(({ upstream }) => upstream.pool.destroy()));
    },
  };
}

function openServer(config: BackendConfig, address: string, { now }: OpenAiBackendDeps): Server {
  const endpoint = parseEndpoint(address);
  const upstream: Upstream = {
    pool: openPool(endpoint.origin),
    endpoint,
    context: { backend: config.name, apiKey: config.apiKey?.() ?? '' },
    firstByteTimeoutMs: config.firstByteTimeoutMs,
    now,
  };
  /** Asked once, kept while the backend lives; not kept when asking failed. */
  let listed: string | null = config.model === '' ? null : config.model;
  return {
    upstream,
    model: async (signal) => {
      listed ??= await firstListedModel(upstream, signal);
      return listed;
    },
  };
}
