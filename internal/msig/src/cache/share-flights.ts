import { PlatformError } from '@openeaap/kernel';
import type { CacheCall, CacheOutcome } from './answer-cache.ts';
import { createFlight } from './flight.ts';
import type { Flight, FlightEnd, FlightSink, Seat } from './flight.ts';
import { SHARED } from './make-answer.ts';
import type { Job } from './make-answer.ts';

/** Equal requests at once are one. As many flights as there are requests under way. */
export interface Flights {
  /** Joins the flight of an equal request, or leads one that others may join. */
  readonly shareOrLead: (job: Job) => Promise<FlightEnd>;
  readonly leadAlone: (job: Job) => Promise<FlightEnd>;
  readonly size: () => number;
}

export interface FlightsOptions {
  readonly maxBytes: number;
  readonly make: (job: Job, sink: FlightSink) => Promise<FlightEnd>;
  readonly onShared: () => void;
}

/** Flights of others that may fail under one request; then it goes alone. */
const FAILED_FLIGHTS_MAX = 2;
/** Errors that say something of the request, so whoever asks the same gets the same. */
const FAULTS_OF_THE_REQUEST: ReadonlySet<string> = new Set(['invalid_input', 'payload_too_large', 'not_found', 'unsupported', 'model_rejected', 'model_invalid_output']);

export function createFlights({ maxBytes, make, onShared }: FlightsOptions): Flights {
  /** Those that may still be joined from the first chunk on. */
  const flights = new Map<string, Flight>();

  /** `name`: others may join under it; null: alone. */
  const lead = (job: Job, name: string | null): Promise<FlightEnd> => {
    const flight = createFlight({
      maxBytes,
      onClosed: () => {
        if (name !== null && flights.get(name) === flight) flights.delete(name);
      },
    });
    if (name !== null) flights.set(name, flight);
    const landed = flight.join(seatOf(job.call));
    flight.start((sink) => make(job, sink));
    return landed;
  };

  const shareOrLead = async (job: Job): Promise<FlightEnd> => {
    const { control } = job.call;
    // Requests that would not take each other's answers do not share, nor those that keep them for another time.
    const name = `${job.key} ${job.question === null ? '' : 'semantic'} ${control.maxAgeMs ?? ''} ${control.ttlMs ?? ''}`;
    for (let failed = 0; failed < FAILED_FLIGHTS_MAX; failed += 1) {
      const flight = flights.get(name);
      if (flight === undefined) return lead(job, control.write ? name : null);
      const ended = await follow(flight, job.call);
      if (ended === 'failed') continue;
      if (ended.cache.state === 'shared') onShared();
      return ended;
    }
    return lead(job, null);
  };

  return { shareOrLead, leadAlone: (job) => lead(job, null), size: () => flights.size };
}

/** `failed`: nothing of it was seen, and the fault may have been the leader's. */
async function follow(flight: Flight, call: CacheCall): Promise<FlightEnd | 'failed'> {
  let hasBegun = false;
  const seat = seatOf(call);
  const onBegin = (outcome: CacheOutcome): void => {
    hasBegun = true;
    seat.onBegin(sharedOf(outcome));
  };
  try {
    const { reply, cache } = await flight.join({ ...seat, onBegin });
    return { reply, cache: sharedOf(cache) };
  } catch (thrown) {
    if (hasBegun || call.signal.aborted || (thrown instanceof PlatformError && FAULTS_OF_THE_REQUEST.has(thrown.code))) throw thrown;
    return 'failed';
  }
}

function seatOf({ signal, onChunk, onOutcome }: CacheCall): Seat {
  return { signal, onChunk, onBegin: (outcome) => onOutcome?.(outcome) };
}

const sharedOf = (outcome: CacheOutcome): CacheOutcome => (outcome.state === 'hit' ? outcome : SHARED);
