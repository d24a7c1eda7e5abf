import { PlatformError } from '@openeaap/kernel';
import type { DockerDeps, DockerSettings } from './docker-settings.ts';
import { CONTAINER_LIMITS, CONTAINER_PORT, CONTAINER_TLS_FOLDER, toCpus, toMemoryBytes } from './docker-settings.ts';
import type { LaunchRequest } from './launcher.ts';

export const LABELS = { node: 'dev.openeaap.node', start: 'dev.openeaap.start', plugin: 'dev.openeaap.plugin' } as const;

/** What the container is told. It listens to all of its own network, so the contract wants TLS. */
export function toContainerEnvironment(request: LaunchRequest): Readonly<Record<string, string>> {
  return {
    ...request.environment,
    OPENEAAP_PLUGIN_NAME: request.plugin,
    OPENEAAP_PLUGIN_LISTEN: `0.0.0.0:${CONTAINER_PORT}`,
    OPENEAAP_PLUGIN_TOKEN: request.token,
    OPENEAAP_PLUGIN_TLS_CERT: `${CONTAINER_TLS_FOLDER}/tls.crt`,
    OPENEAAP_PLUGIN_TLS_KEY: `${CONTAINER_TLS_FOLDER}/tls.key`,
    OPENEAAP_PLUGIN_TLS_CLIENT_CA: `${CONTAINER_TLS_FOLDER}/ca.crt`,
  };
}

/**
 * `docker run`: nothing of the host but one folder to read and one port on loopback, no capabilities, no new ones, a
 * file system that cannot be written to. Values of variables are not among the arguments, which every user of the machine
 * can read. Errors: invalid_input that names the field.
 */
export function toRunArguments(request: LaunchRequest, settings: DockerSettings, deps: Pick<DockerDeps, 'node' | 'start'>, place: { readonly name: string; readonly tlsFolder: string }): readonly string[] {
  const memoryBytes = String(toMemoryBytes(settings.resources.memory ?? CONTAINER_LIMITS.memory, request.plugin));
  return [
    'run',
    '--rm',
    '--detach=false',
    '--name', place.name,
    '--label', `${LABELS.node}=${deps.node}`, '--label', `${LABELS.start}=${deps.start}`, '--label', `${LABELS.plugin}=${request.plugin}`,
    '--read-only',
    '--tmpfs', `/tmp:rw,nosuid,nodev,size=${CONTAINER_LIMITS.temporaryBytes}`,
    '--cap-drop', 'ALL',
    '--security-opt', 'no-new-privileges',
    '--pids-limit', String(CONTAINER_LIMITS.processes),
    // As much memory and swap together as memory alone: no swap.
    '--memory', memoryBytes, '--memory-swap', memoryBytes,
    '--cpus', String(toCpus(settings.resources.cpu ?? CONTAINER_LIMITS.cpu, request.plugin)),
    ...(settings.runtime === null ? [] : ['--runtime', checkWord(settings.runtime, 'runtime_class', request.plugin)]),
    // Its output comes to us; the engine keeps no copy that grows.
    '--log-driver', 'none',
    '-p', `127.0.0.1::${CONTAINER_PORT}`,
    '-v', `${place.tlsFolder}:${CONTAINER_TLS_FOLDER}:ro`,
    ...Object.keys(toContainerEnvironment(request)).flatMap((name) => ['-e', checkVariable(name, request.plugin)]),
    checkImage(settings.image, request.plugin),
  ];
}

/** The command line reads these itself, and it gets the values of the container's variables by its own environment. */
function checkVariable(name: string, plugin: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new PlatformError('invalid_input', `The plugin "${plugin}" has a variable "${name}". Names are letters, digits and _.`, { details: { field: `env.${name}` } });
  if (/^(PATH|HOME|LD_.*|DOCKER_.*)$/.test(name)) throw new PlatformError('invalid_input', `The plugin "${plugin}" sets ${name}, which would change the program that starts it. Set it in the image.`, { details: { field: `env.${name}` } });
  return name;
}

function checkImage(image: string, plugin: string): string {
  if (!/^[a-z0-9][A-Za-z0-9._:/@-]*$/.test(image)) throw new PlatformError('invalid_input', `The plugin "${plugin}" has the image "${image}", which is no reference of one. Write registry/name:tag or name@sha256:digest.`, { details: { field: 'image' } });
  return image;
}

function checkWord(word: string, field: string, plugin: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(word)) throw new PlatformError('invalid_input', `The plugin "${plugin}" has ${field} "${word}". Write the name of a runtime that the engine knows, e.g. runsc.`, { details: { field } });
  return word;
}
