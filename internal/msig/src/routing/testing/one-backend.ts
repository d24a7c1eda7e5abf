import { PlatformError } from '@openeaap/kernel';
import type { BackendConfig } from '../../config/gateway-config.ts';
import type { Place } from '../fleet.ts';
import { aBackend, aConfig, aFleet } from './a-fleet.ts';
import type { EnterChanges } from './a-fleet.ts';

/** A fleet of one backend, and what becomes of those who come to it. */
export function setUpBackend(changes: Partial<BackendConfig> = {}) {
  const backend = aBackend('b', changes);
  const fleet = aFleet(aConfig([backend]));
  const done: string[] = [];
  /** Enters under a name; what becomes of it is written down. */
  const come = (name: string, enter: EnterChanges = {}): Promise<Place | null> =>
    fleet.at(backend, enter).then(
      (place) => (done.push(name), place),
      (error: PlatformError) => (done.push(`${name}: ${String(error.details['reason'] ?? error.code)}`), null),
    );
  const failure = async (enter: EnterChanges = {}): Promise<PlatformError> => {
    const thrown = await fleet.at(backend, enter).catch((error: unknown) => error);
    if (!(thrown instanceof PlatformError)) throw new Error('It got a place.');
    return thrown;
  };
  return { ...fleet, backend, done, come, failure, health: () => fleet.health()[0] };
}

export const servers = (count: number) => Array.from({ length: count }, (_, at) => `http://s${at}:8000`);
