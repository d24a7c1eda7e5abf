import { toPlatformError } from '@openeaap/kernel';
import type { PlatformError } from '@openeaap/kernel';
import type { BackendConfig } from '../../config/gateway-config.ts';
import type { ModelRequest } from '../../request/model-request.ts';
import type { TryOutcome } from '../fleet.ts';
import { aRequest, NEVER } from './a-fleet.ts';
import type { TestFleet } from './a-fleet.ts';
import { settled } from './manual-time.ts';

/** One request of a simulation and what became of it. */
export interface Served {
  readonly request: ModelRequest;
  /** Milliseconds since the start. */
  readonly atMs: number;
  /** null: it got no place. */
  readonly endpoint: string | null;
  /** From its arrival. */
  readonly firstByteMs: number | null;
  readonly error: PlatformError | null;
  /** Of all servers, when this one had got its place. */
  readonly inFlight: ReadonlyMap<string, number>;
}

export interface Simulation {
  readonly backend: BackendConfig;
  readonly requests: number;
  /** Milliseconds between two arrivals, on average; they come at random. */
  readonly everyMs: number;
  readonly random: () => number;
  readonly request?: (at: number) => ModelRequest;
  /** What a server does with a request when so many are in its hands. */
  readonly server: (ask: { readonly endpoint: string; readonly request: ModelRequest; readonly inFlight: number; readonly atMs: number }) => TryOutcome;
}

/** Requests arrive, are served and leave on the clock of the fleet; nothing is waited for in real time. */
export async function simulate(fleet: TestFleet, { backend, requests, everyMs, random, request = () => aRequest(), server }: Simulation): Promise<readonly Served[]> {
  const { time } = fleet;
  const startMs = time.now();
  const served: Served[] = [];
  const inFlight = new Map(backend.endpoints.map((endpoint) => [endpoint, 0]));
  const count = (endpoint: string, by: number): number => {
    const now = (inFlight.get(endpoint) ?? 0) + by;
    inFlight.set(endpoint, now);
    return now;
  };
  const arrive = async (at: number): Promise<void> => {
    const asked = request(at);
    const cameMs = time.now();
    const atMs = cameMs - startMs;
    try {
      const place = await fleet.at(backend, { request: asked, signal: NEVER, withinMs: backend.timeoutMs });
      const { endpoint } = place;
      const outcome = server({ endpoint, request: asked, inFlight: count(endpoint, 1), atMs });
      const waitedMs = time.now() - cameMs;
      served.push({ request: asked, atMs, endpoint, firstByteMs: outcome.firstByteMs === null ? null : waitedMs + outcome.firstByteMs, error: outcome.error, inFlight: new Map(inFlight) });
      time.setTimer(() => {
        count(endpoint, -1);
        place.leave(outcome);
      }, outcome.totalMs);
    } catch (thrown) {
      served.push({ request: asked, atMs, endpoint: null, firstByteMs: null, error: toPlatformError(thrown), inFlight: new Map(inFlight) });
    }
  };
  for (let at = 0; at < requests; at += 1) {
    void arrive(at);
    await time.pass(-Math.log(1 - random()) * everyMs);
  }
  while (time.pending() > 0) await time.pass(1_000);
  await settled();
  return served;
}
