import type { Access } from '../access.ts';
import type { BackendConfig, RoutingConfig } from '../config/gateway-config.ts';
import { findOutlier } from '../resilience/find-outlier.ts';
import type { Judgement } from '../resilience/judge-outcome.ts';
import { createRetryBudget } from '../resilience/retry-budget.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { blockCharsOf, chooseServer, hasOther } from './choose-server.ts';
import type { Choice, Wish } from './choose-server.ts';
import { createPlaceQueue } from './place-queue.ts';
import type { BackendHealth, Fleet, Place, TryOutcome } from './fleet.ts';
import { prefixChainOf } from './prefix-chain.ts';
import { createServer } from './server.ts';
import type { Server, ServerDeps } from './server.ts';
import type { SetTimer } from './set-timer.ts';

/** The servers of one backend and who wants to ask them. */
export interface ServerPool {
  readonly enter: (request: ModelRequest, access: Access, call: Parameters<Fleet['enter']>[3]) => Promise<Place>;
  readonly hasOther: (avoid: readonly string[]) => boolean;
  readonly takeRetry: () => boolean;
  /**
   * `last`: it cannot take a request now, or has refused the latest: whoever else may answer comes
   * first. `probe`: one request is wanted that finds out whether it is back.
   */
  readonly standing: () => 'ready' | 'probe' | 'last';
  /** The probe is on its way: `standing` is `last` for the others until it has come, or should have. */
  readonly promiseProbe: () => void;
  /** Milliseconds to the first byte that the best of its servers would take, its load counted in; null: nobody knows any more. */
  readonly expectedFirstByteMs: () => number | null;
  readonly health: () => BackendHealth;
  readonly close: () => void;
}

export interface PoolDeps extends ServerDeps {
  readonly routing: RoutingConfig;
  readonly setTimer: SetTimer;
}

/** From its plan to its place a request may read caches and budgets. */
const PROMISE_MS = 1_000;
/** So many refusals in a row, and it is asked after the others until so long after the latest. */
const REFUSALS_MAX = 5;
const REFUSING_MS = 10_000;
/** What was measured longer ago says nothing about now. */
const STALE_MS = 60_000;
/** Continuous batching: so many at once double the time to the first byte, about. */
const LOAD_KNEE = 16;
const OUTLIER_EVERY_MS = 250;
const NO_CHAIN: Wish['chain'] = [];

export function createServerPool(backend: BackendConfig, deps: PoolDeps): ServerPool {
  const { routing, now, onEvent } = deps;
  const endpoints = backend.endpoints.length === 0 ? [''] : backend.endpoints;
  const servers = endpoints.map((endpoint) => createServer(backend.name, endpoint, { ...deps, breaker: routing.breaker }));
  const budget = createRetryBudget(routing.retryBudget, now);
  const blockChars = blockCharsOf(routing.affinity);
  const followsPrefixes = routing.affinity.enabled && servers.length > 1;
  const memory = createMemory(now);
  const ejectOutliers = createOutlierWatch(servers, now);
  let promisedUntilMs = 0;

  const choose = (wish: Wish): Choice | 'busy' | 'closed' => chooseServer(servers, wish, { maxConcurrent: backend.maxConcurrent, affinity: routing.affinity, random: deps.random });
  const isClosed = (): boolean => servers.every((server) => server.admits() === 'no');
  const take = ({ server, affinity }: Choice, { chain }: Wish): Place => {
    if (affinity !== null) onEvent({ kind: 'affinity', backend: backend.name, outcome: affinity });
    const left = (judgement: Judgement, outcome: TryOutcome): void => {
      memory.note(judgement, outcome);
      ejectOutliers();
      queue.release();
    };
    return openPlace(server, { chain, began: queue.serve, left });
  };
  const readyInMs = (which: readonly Server[]): number => Math.min(...which.map((server) => server.readyInMs()));
  const queue = createPlaceQueue(backend, {
    ...deps,
    choose,
    take,
    closedForMs: () => readyInMs(servers),
    pausedForMs: () => readyInMs(servers.filter((server) => server.isPaused())),
    freedInMs: () => Math.min(...servers.map((server) => server.freedInMs())),
    whyClosed: () => memory.latest() ?? '',
  });

  return {
    enter: async (request, access, { signal, deadlineMs, avoid }) => {
      signal.throwIfAborted();
      if (avoid.length === 0) budget.count();
      const chain = followsPrefixes ? prefixChainOf(request, { backend, access, blockChars }) : NO_CHAIN;
      return queue.enter({ chain, avoid, signal, deadlineMs, priority: access.priority ?? 0 });
    },
    hasOther: (avoid) => hasOther(servers, { avoid, maxConcurrent: backend.maxConcurrent }),
    takeRetry: () => {
      const granted = budget.take();
      onEvent({ kind: 'retry', backend: backend.name, granted });
      return granted;
    },
    standing: () => {
      if (isClosed() || queue.isFull() || memory.isRefusing()) return 'last';
      if (servers.some((server) => server.admits() === 'yes')) return 'ready';
      return now() < promisedUntilMs ? 'last' : 'probe';
    },
    promiseProbe: () => {
      promisedUntilMs = now() + PROMISE_MS;
    },
    expectedFirstByteMs: () => {
      const known = servers.flatMap((server) => expectedMs(server, now()) ?? []);
      return known.length === 0 ? null : Math.min(...known);
    },
    health: () => healthOf(backend.name, servers, { queued: queue.size(), memory }),
    close: queue.close,
  };
}

interface PlaceParts extends Pick<Wish, 'chain'> {
  readonly began: () => void;
  /** Once. */
  readonly left: (judgement: Judgement, outcome: TryOutcome) => void;
}

function openPlace(server: Server, { chain, began, left }: PlaceParts): Place {
  const ticket = server.enter();
  if (chain.length > 0) server.prefixes.insert(chain);
  let hasLeft = false;
  return {
    endpoint: server.endpoint,
    began: () => {
      server.breaker.begin(ticket);
      began();
    },
    leave: (outcome) => {
      if (hasLeft) return;
      hasLeft = true;
      left(server.leave(ticket, outcome), outcome);
    },
  };
}

/** What the latest tries said of the backend as a whole. */
interface Memory {
  readonly note: (judgement: Judgement, outcome: TryOutcome) => void;
  readonly isRefusing: () => boolean;
  /** What was wrong, empty: nothing; null: never asked. */
  readonly latest: () => string | null;
  /** It has never done what it was asked, or refused the latest five: the key, the model or the quota is wrong. */
  readonly isUseless: () => boolean;
}

function createMemory(now: () => number): Memory {
  let latest: string | null = null;
  let hasAnswered = false;
  let refusals = 0;
  let refusedAtMs = 0;
  return {
    note: ({ verdict, pauseMs, refused }, { error }) => {
      if (verdict === 'ok' || refused) refusals = refused ? refusals + 1 : 0;
      if (refused) refusedAtMs = now();
      hasAnswered ||= verdict === 'ok' || (verdict === 'alive' && !refused);
      if (verdict !== 'nothing') latest = verdict === 'failed' || refused || pauseMs > 0 ? (error?.message ?? '') : '';
    },
    isRefusing: () => refusals >= REFUSALS_MAX && now() - refusedAtMs < REFUSING_MS,
    latest: () => latest,
    isUseless: () => !hasAnswered || refusals >= REFUSALS_MAX,
  };
}

/** Looks at all servers now and then: a slow one seldom comes by itself. */
function createOutlierWatch(servers: readonly Server[], now: () => number): () => void {
  let atMs = 0;
  return () => {
    if (servers.length === 1 || now() - atMs < OUTLIER_EVERY_MS) return;
    atMs = now();
    for (const server of servers) ejectOutlier(server, servers);
  };
}

/** Never with more than half of the servers out of use: the rest would drown. */
function ejectOutlier(server: Server, servers: readonly Server[]): void {
  if (server.isEjected() || server.admits() === 'no') return;
  const peers = servers.filter((other) => other !== server && !other.isEjected() && other.admits() !== 'no');
  if (servers.length - peers.length > servers.length / 2) return;
  const reason = findOutlier(server.record(), peers.map((peer) => peer.record()));
  if (reason !== null) server.eject(reason);
}

function expectedMs(server: Server, nowMs: number): number | null {
  const ms = server.firstByteMs.value();
  if (ms === null || nowMs - server.firstByteMs.atMs() > STALE_MS || server.admits() === 'no') return null;
  const { outstanding, waiting, isFull } = server.load();
  return ms * (1 + (outstanding + waiting) / LOAD_KNEE) * (isFull ? 2 : 1);
}

interface PoolFacts {
  readonly queued: number;
  readonly memory: Memory;
}

function healthOf(name: string, servers: readonly Server[], { queued, memory }: PoolFacts): BackendHealth {
  const states = servers.map((server) => server.breaker.state());
  const breaker = states.includes('closed') ? 'closed' : states.includes('half_open') ? 'half_open' : 'open';
  const latest = memory.latest();
  const isDown = breaker !== 'closed' || memory.isUseless();
  return {
    name,
    state: latest === null ? 'unknown' : isDown ? 'down' : 'up',
    detail: latest ?? 'No call yet.',
    breaker,
    inFlight: servers.reduce((sum, server) => sum + server.inFlight(), 0),
    queued,
    firstByteMs: meanOf(servers.map((server) => server.firstByteMs.value())),
    totalMs: meanOf(servers.map((server) => server.totalMs.value())),
  };
}

function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
