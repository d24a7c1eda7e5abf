import { PlatformError } from '@openeaap/kernel';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import type { ReadLoad } from '../vllm/load.ts';
import type { Fleet, FleetEvent } from './fleet.ts';
import { isUnchanged } from './is-unchanged.ts';
import { createModelCatalog } from './model-catalog.ts';
import { createPlanner } from './plan-route.ts';
import { createServerPool } from './server-pool.ts';
import type { ServerPool } from './server-pool.ts';
import { setRealTimer } from './set-timer.ts';
import type { SetTimer } from './set-timer.ts';
import { createShared } from './shared.ts';
import type { Shared } from './shared.ts';

export interface FleetDeps {
  /** Milliseconds. The deadlines that `enter` is given are of the same clock. */
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly readLoad: ReadLoad;
  /** Must not throw. */
  readonly onEvent?: (event: FleetEvent) => void;
  /** Default: the timers of Node, which do not keep the process. */
  readonly setTimer?: SetTimer;
}

/** A fleet, with what the next one may take over. */
export interface OwnFleet extends Fleet {
  readonly config: GatewayConfig;
  readonly pools: ReadonlyMap<string, Shared<ServerPool>>;
}

/**
 * Keeps all that it knows in memory: at most 4,096 blocks of prompts for each server, and `max_queue`
 * requests that wait for each backend. Of `previous`, which is not closed yet, it takes over the pool
 * of each backend that the configuration says the same of; such a pool keeps the deps it was made
 * with, and is closed with the last fleet that has it.
 */
export function createFleet(config: GatewayConfig, { now, random, readLoad, onEvent = () => undefined, setTimer = setRealTimer }: FleetDeps, previous: OwnFleet | null = null): OwnFleet {
  const createPool = (backend: BackendConfig): Shared<ServerPool> => createShared(createServerPool(backend, { routing: config.routing, now, random, readLoad, onEvent, setTimer }));
  const oldPool = (name: string): Shared<ServerPool> | undefined => (previous !== null && isUnchanged(name, previous.config, config) ? previous.pools.get(name) : undefined);
  const pools = new Map(config.backends.map((backend) => [backend.name, oldPool(backend.name) ?? createPool(backend)]));
  for (const pool of pools.values()) pool.hold();
  const poolOf = ({ name }: BackendConfig): ServerPool => {
    const pool = pools.get(name);
    if (pool === undefined) throw new PlatformError('internal', `The backend "${name}" is not one of this fleet.`);
    return pool.value;
  };
  const catalog = createModelCatalog(config);
  return {
    config,
    pools,
    plan: createPlanner(config, { catalog, poolOf, random }),
    visibleModels: catalog.visible,
    find: catalog.find,
    enter: (backend, request, access, call) => poolOf(backend).enter(request, access, call),
    hasOther: (backend, avoid) => poolOf(backend).hasOther(avoid),
    takeRetry: (backend) => poolOf(backend).takeRetry(),
    health: () => [...pools.values()].map(({ value }) => value.health()),
    close: async () => {
      for (const pool of pools.values()) await pool.release();
    },
  };
}
