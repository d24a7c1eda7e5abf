import { createCircuitBreaker } from '../resilience/circuit-breaker.ts';
import type { BreakerTicket, CircuitBreaker } from '../resilience/circuit-breaker.ts';
import { createEwma } from '../resilience/ewma.ts';
import type { Ewma } from '../resilience/ewma.ts';
import type { ServerRecord } from '../resilience/find-outlier.ts';
import { judgeOutcome } from '../resilience/judge-outcome.ts';
import type { Judgement } from '../resilience/judge-outcome.ts';
import type { RoutingConfig } from '../config/gateway-config.ts';
import type { ReadLoad } from '../vllm/load.ts';
import type { FleetEvent, TryOutcome } from './fleet.ts';
import { hashText } from './prefix-chain.ts';
import { createPrefixIndex } from './prefix-index.ts';
import type { PrefixIndex } from './prefix-index.ts';

/** One server of a backend, as it was seen from here. */
export interface Server {
  readonly endpoint: string;
  /** Of the endpoint. */
  readonly hash: number;
  readonly breaker: CircuitBreaker;
  readonly prefixes: PrefixIndex;
  /** Of answers only: a server that fails fast must not look fast. */
  readonly firstByteMs: Ewma;
  readonly totalMs: Ewma;
  readonly fadedFirstByteMs: () => number | null;
  readonly inFlight: () => number;
  readonly load: () => ServerLoad;
  /** What it may be asked now, its places aside: `probe` for one request that finds out. */
  readonly admits: () => 'yes' | 'probe' | 'no';
  readonly isEjected: () => boolean;
  /** Milliseconds until the pause is over that it asked for, and its breaker lets somebody in, as far as it is known; 0: now. */
  readonly readyInMs: () => number;
  /** Milliseconds until the next moment at which it may be asked again because time has passed; Infinity: there is none. */
  readonly freedInMs: () => number;
  readonly isPaused: () => boolean;
  readonly enter: () => BreakerTicket;
  readonly leave: (ticket: BreakerTicket, outcome: TryOutcome) => Judgement;
  readonly eject: (reason: 'errors' | 'latency') => void;
  readonly record: () => ServerRecord;
}

export interface ServerLoad {
  /** Requests it has in hand, ours and those of others. */
  readonly outstanding: number;
  /** Of them, those that it has not begun. */
  readonly waiting: number;
  /** Its KV cache is nearly full and requests wait: a new one would push another out. */
  readonly isFull: boolean;
}

export interface ServerDeps {
  /** Milliseconds. */
  readonly now: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly readLoad: ReadLoad;
  readonly onEvent: (event: FleetEvent) => void;
}

const KV_FULL = 0.95;
const EJECT_FIRST_MS = 30_000;
const EJECT_MAX_MS = 300_000;
/** Who was not ejected for so long is a beginner again. */
const EJECT_FORGOTTEN_MS = 1_200_000;
const NEVER_MS = Number.POSITIVE_INFINITY;
/** A timer may ring this early by our clock. */
const CLOCK_SLACK_MS = 5;

export function createServer(backend: string, endpoint: string, { breaker: limits, now, random, readLoad, onEvent }: ServerDeps & Pick<RoutingConfig, 'breaker'>): Server {
  const breaker = createCircuitBreaker(limits, { now, random, onState: (state) => onEvent({ kind: 'breaker', backend, endpoint, state }) });
  const [firstByteMs, totalMs] = [createEwma(), createEwma()];
  const load = createLoadView(endpoint, readLoad);
  let inFlight = 0;
  let pausedUntilMs = 0;
  let ejectedUntilMs: number | null = null;
  let ejectedAtMs = 0;
  let ejections = 0;

  const isEjected = (): boolean => {
    if (ejectedUntilMs === null) return false;
    if (now() < ejectedUntilMs) return true;
    // It is judged by what it does from now on.
    ejectedUntilMs = null;
    firstByteMs.forget();
    breaker.forget();
    return false;
  };
  const isPaused = (): boolean => now() + CLOCK_SLACK_MS < pausedUntilMs;

  return {
    endpoint,
    hash: hashText(endpoint),
    breaker,
    prefixes: createPrefixIndex(),
    firstByteMs,
    totalMs,
    fadedFirstByteMs: () => firstByteMs.faded(now()),
    inFlight: () => inFlight,
    load: () => load(inFlight),
    admits: () => (isPaused() ? 'no' : breaker.admits()),
    isEjected,
    isPaused,
    readyInMs: () => Math.max(0, pausedUntilMs - now(), breaker.reopensInMs()),
    freedInMs: () => Math.min(isPaused() ? pausedUntilMs - now() : NEVER_MS, breaker.state() === 'open' ? breaker.reopensInMs() : NEVER_MS, isEjected() ? (ejectedUntilMs ?? 0) - now() : NEVER_MS),
    enter: () => {
      inFlight += 1;
      return breaker.enter();
    },
    leave: (ticket, outcome) => {
      inFlight -= 1;
      const judgement = judgeOutcome(outcome);
      if (judgement.verdict === 'ok') {
        if (outcome.firstByteMs !== null) firstByteMs.add(outcome.firstByteMs, now());
        totalMs.add(outcome.totalMs, now());
      }
      if (judgement.pauseMs > 0) {
        pausedUntilMs = Math.max(pausedUntilMs, now() + judgement.pauseMs);
        onEvent({ kind: 'cooling', backend, endpoint, forMs: judgement.pauseMs });
      }
      breaker.note(judgement.verdict, ticket);
      return judgement;
    },
    eject: (reason) => {
      if (now() - ejectedAtMs > EJECT_FORGOTTEN_MS) ejections = 0;
      const forMs = Math.min(EJECT_MAX_MS, EJECT_FIRST_MS * 2 ** ejections);
      ejections += 1;
      ejectedAtMs = now();
      ejectedUntilMs = ejectedAtMs + forMs;
      onEvent({ kind: 'ejected', backend, endpoint, reason, forMs });
    },
    record: () => {
      const { samples, failedShare } = breaker.recent();
      return { tries: samples, failedShare, answers: firstByteMs.samples(), firstByteMs: firstByteMs.value() };
    },
  };
}

/**
 * The server's own numbers are some seconds old; ours are of now. So of its numbers only the part
 * that was not ours when they were read is kept, and ours are added as they are.
 */
function createLoadView(endpoint: string, readLoad: ReadLoad): (inFlight: number) => ServerLoad {
  let atMs = Number.NaN;
  let others = 0;
  return (inFlight) => {
    const said = readLoad(endpoint);
    if (said === null) return { outstanding: inFlight, waiting: 0, isFull: false };
    if (said.atMs !== atMs) {
      atMs = said.atMs;
      others = Math.max(0, said.running + said.waiting - inFlight);
    }
    return { outstanding: inFlight + others, waiting: said.waiting, isFull: said.kvCacheUsage > KV_FULL && said.waiting > 0 };
  };
}
