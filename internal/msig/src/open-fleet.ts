import { PlatformError } from '@openeaap/kernel';
import type { Backend } from './backends/backend.ts';
import { createOpenAiBackend } from './backends/openai-backend.ts';
import type { Access } from './access.ts';
import type { AnswerCache } from './cache/answer-cache.ts';
import type { BackendConfig, GatewayConfig } from './config/gateway-config.ts';
import type { GatewayDeps } from './gateway.ts';
import type { ModelRequest } from './request/model-request.ts';
import { createFleet } from './routing/create-fleet.ts';
import type { OwnFleet } from './routing/create-fleet.ts';
import { isUnchanged } from './routing/is-unchanged.ts';
import { createShared } from './routing/shared.ts';
import type { Shared } from './routing/shared.ts';
import { parseScript } from './scripted/script.ts';
import { createScriptedBackend } from './scripted/scripted-backend.ts';
import type { VllmLoad } from './vllm/load.ts';
import { createLoadReader } from './vllm/load-reader.ts';
import type { LoadReader } from './vllm/load-reader.ts';
import { shapeForVllm } from './vllm/shape-request.ts';

/** One configuration with everything that it opened. */
export interface OpenFleet {
  readonly config: GatewayConfig;
  readonly fleet: OwnFleet;
  readonly backends: ReadonlyMap<string, Shared<Backend>>;
  readonly backendOf: (config: BackendConfig) => Backend;
  readonly cache: AnswerCache | null;
  readonly loads: () => ReadonlyMap<string, VllmLoad>;
  readonly loadSource: LoadSource;
  /** Keeps it open until the returned function is called. */
  readonly hold: () => () => void;
  /** After the last request that holds it. */
  readonly closeWhenIdle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Pools go on from one configuration to the next, and read the loads that the latest one reads. */
interface LoadSource {
  reader: LoadReader;
}

/**
 * `previous` hands on its caches, and of each backend its connections and its load, where the
 * configuration says the same of them; closing it leaves those open. Errors: `invalid_input` when a
 * script cannot be used; `previous` is as it was then.
 */
export function openFleetOf(config: GatewayConfig, deps: GatewayDeps, previous: OpenFleet | null = null): OpenFleet {
  const backends = new Map(config.backends.map((each) => [each.name, oldBackend(each, config, previous) ?? createShared(createBackend(each, deps))]));
  const cache = previous !== null && hasSameCaches(previous.config, config) ? previous.cache : (deps.openCache?.(config) ?? null);
  // Nothing throws from here on.
  for (const backend of backends.values()) backend.hold();
  const reader = createLoadReader({ servers: vllmServers(config), now: deps.now, random: deps.random });
  const loadSource = previous?.loadSource ?? { reader };
  loadSource.reader = reader;
  const fleet = createFleet(config, { now: deps.now, random: deps.random, readLoad: (endpoint) => loadSource.reader.read(endpoint), ...(deps.onFleetEvent === undefined ? {} : { onEvent: deps.onFleetEvent }) }, previous?.fleet ?? null);
  let held = 0;
  let onIdle: (() => void) | null = null;
  let closed: Promise<void> | null = null;
  const closeNow = async (): Promise<void> => {
    reader.close();
    await fleet.close();
    await Promise.all([...backends.values()].map((backend) => backend.release()));
  };
  const close = (): Promise<void> => (closed ??= closeNow());
  return {
    config,
    fleet,
    backends,
    cache,
    backendOf: ({ name }) => {
      const backend = backends.get(name);
      if (backend === undefined) throw new PlatformError('internal', `The backend "${name}" was not created.`);
      return backend.value;
    },
    loads: reader.loads,
    loadSource,
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

/** A script is read again, for its file may have changed where the configuration has not. */
function oldBackend({ name, type }: BackendConfig, config: GatewayConfig, previous: OpenFleet | null): Shared<Backend> | undefined {
  return previous !== null && type !== 'scripted' && isUnchanged(name, previous.config, config) ? previous.backends.get(name) : undefined;
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
