import { PlatformError } from '@openeaap/kernel';
import type { Backend } from './backends/backend.ts';
import { createOpenAiBackend } from './backends/openai-backend.ts';
import type { Access } from './access.ts';
import type { AnswerCache } from './cache/answer-cache.ts';
import type { BackendConfig, GatewayConfig } from './config/gateway-config.ts';
import type { GatewayDeps } from './gateway.ts';
import type { ModelRequest } from './request/model-request.ts';
import { createFleet } from './routing/create-fleet.ts';
import type { Fleet } from './routing/fleet.ts';
import { parseScript } from './scripted/script.ts';
import { createScriptedBackend } from './scripted/scripted-backend.ts';
import type { VllmLoad } from './vllm/load.ts';
import { createLoadReader } from './vllm/load-reader.ts';
import { shapeForVllm } from './vllm/shape-request.ts';

/** One configuration with everything that it opened. */
export interface OpenFleet {
  readonly config: GatewayConfig;
  readonly fleet: Fleet;
  readonly backendOf: (config: BackendConfig) => Backend;
  readonly cache: AnswerCache | null;
  readonly loads: () => ReadonlyMap<string, VllmLoad>;
  /** Keeps it open until the returned function is called. */
  readonly hold: () => () => void;
  /** After the last request that holds it. */
  readonly closeWhenIdle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** `previous` hands its caches on where the configuration says the same of them. Errors: `invalid_input` when a script cannot be used. */
export function openFleetOf(config: GatewayConfig, deps: GatewayDeps, previous: OpenFleet | null = null): OpenFleet {
  const backends = new Map(config.backends.map((each) => [each.name, createBackend(each, deps)]));
  const reader = createLoadReader({ servers: vllmServers(config), now: deps.now, random: deps.random });
  const fleet = createFleet(config, { now: deps.now, random: deps.random, readLoad: reader.read, ...(deps.onFleetEvent === undefined ? {} : { onEvent: deps.onFleetEvent }) });
  const cache = previous !== null && hasSameCaches(previous.config, config) ? previous.cache : (deps.openCache?.(config) ?? null);
  let held = 0;
  let onIdle: (() => void) | null = null;
  let closed: Promise<void> | null = null;
  const closeNow = async (): Promise<void> => {
    reader.close();
    await fleet.close();
    await Promise.all([...backends.values()].map((backend) => backend.close()));
  };
  const close = (): Promise<void> => (closed ??= closeNow());
  return {
    config,
    fleet,
    cache,
    backendOf: ({ name }) => {
      const backend = backends.get(name);
      if (backend === undefined) throw new PlatformError('internal', `The backend "${name}" was not created.`);
      return backend;
    },
    loads: reader.loads,
    hold: () => {
      held += 1;
      return () => {
        held -= 1;
        if (held === 0) onIdle?.();
      };
    },
    closeWhenIdle: async () => {
      if (held > 0) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
        });
      }
      await close();
    },
    close,
  };
}

function hasSameCaches(a: GatewayConfig, b: GatewayConfig): boolean {
  const settings = ({ cache, semanticCache }: GatewayConfig): string => JSON.stringify([cache, cache.redisUrl?.(), semanticCache]);
  return settings(a) === settings(b);
}

function vllmServers(config: GatewayConfig) {
  return config.backends
    .filter(({ type, vllm }) => type === 'vllm' && vllm.metricsIntervalMs > 0)
    .flatMap(({ endpoints, vllm, apiKey }) => endpoints.map((endpoint) => ({ endpoint, intervalMs: vllm.metricsIntervalMs, apiKey: apiKey?.() ?? '' })));
}

const NOTHING: Readonly<Record<string, string | null>> = {};

function createBackend(config: BackendConfig, deps: GatewayDeps): Backend {
  if (config.type === 'scripted') return createScriptedBackend(parseScript(config.script, deps.readScript(config.script)), deps);
  const shape = config.type === 'vllm' ? (request: ModelRequest, access: Access) => shapeForVllm(request, { access, config: config.vllm, saltKey: deps.saltKey }) : () => NOTHING;
  return createOpenAiBackend(config, { now: deps.now, newId: deps.newId, shape });
}
