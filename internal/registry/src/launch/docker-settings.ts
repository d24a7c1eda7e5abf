import { PlatformError } from '@openeaap/kernel';
import type { Authority } from './authority.ts';

/** What an image may use, and in what it runs. Quantities are those of Kubernetes: `500m`, `2`; `256Mi`, `1Gi`. */
export interface DockerSettings {
  readonly image: string;
  readonly resources: { readonly cpu: string | null; readonly memory: string | null };
  /** A runtime of the engine, e.g. `runsc` (gVisor); null: its own. */
  readonly runtime: string | null;
}

export interface DockerDeps {
  /** The command line of the engine: `docker`, or its path. */
  readonly docker: string;
  /** All that it inherits: PATH, HOME, and DOCKER_HOST and its like where they are set. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for each start on this machine and state folder: what an earlier start has left is found by it. */
  readonly node: string;
  /** Another for each start of the platform. */
  readonly start: string;
  readonly authority: Authority;
}

/** Limits of a container that nobody sets for one plugin. */
export const CONTAINER_LIMITS = {
  processes: 512,
  /** Of `/tmp`, the only place that can be written to; it counts as memory. */
  temporaryBytes: 67_108_864,
  cpu: '1',
  memory: '512Mi',
} as const;

/** The port on which each container listens. */
export const CONTAINER_PORT = 50_051;

/** Where a container finds its certificate. */
export const CONTAINER_TLS_FOLDER = '/openeaap/tls';

/** Errors: invalid_input that names the field. */
export function toCpus(quantity: string, plugin: string): number {
  const [, number = '', milli = ''] = /^(\d+(?:\.\d+)?)(m?)$/.exec(quantity) ?? [];
  const cpus = Number(number) / (milli === '' ? 1 : 1_000);
  if (number === '' || cpus <= 0) throw new PlatformError('invalid_input', `The plugin "${plugin}" has resources.cpu "${quantity}". Write cores, "2" or "0.5", or thousandths of one, "500m".`, { details: { field: 'resources.cpu' } });
  return cpus;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };
/** The engine takes no less. */
const LEAST_MEMORY_BYTES = 6 * 2 ** 20;

/** Errors: invalid_input that names the field. */
export function toMemoryBytes(quantity: string, plugin: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([kMG]|[KMG]i)?$/.exec(quantity) ?? [];
  const bytes = Math.round(Number(number) * (UNITS[unit] ?? Number.NaN));
  if (number === '' || bytes < LEAST_MEMORY_BYTES) throw new PlatformError('invalid_input', `The plugin "${plugin}" has resources.memory "${quantity}". Write bytes with a unit, at least 6Mi: "256Mi", "1Gi".`, { details: { field: 'resources.memory' } });
  return bytes;
}
