import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { PlatformError, randomIds, systemClock } from '@openeaap/kernel';
import type { Launcher, PluginDeclaration } from '@openeaap/registry';
import { createDockerLauncher, createKubernetesApi, createKubernetesLauncher, inClusterCredentials, kubeconfigCredentials, loadAuthority } from '@openeaap/registry';
import type { ServerConfig } from './config.ts';
import { ensurePluginAuthority } from './state-folder.ts';

/** What the command line of the engine needs of our environment. */
const DOCKER_VARIABLES = ['PATH', 'HOME', 'DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG', 'DOCKER_CERT_PATH', 'DOCKER_TLS_VERIFY', 'XDG_RUNTIME_DIR'];
const KUBECONFIG_VARIABLES = ['PATH', 'HOME'];

export type ToImageLauncher = (declaration: PluginDeclaration) => Launcher;

/**
 * What starts plugins that are images on this node: a Kubernetes around it, a Docker engine beside it, or nothing (null).
 * Errors: invalid_input when what was asked for is not there.
 */
export async function openImageLauncher(config: ServerConfig): Promise<ToImageLauncher | null> {
  const { environment } = config;
  const kind = config.imageLauncher ?? (environment['KUBERNETES_SERVICE_HOST'] !== undefined ? 'kubernetes' : findDocker(environment) === null ? 'none' : 'docker');
  if (kind === 'none') return null;
  const authority = loadAuthority(await ensurePluginAuthority(config.dataDir), { now: Date.now });
  if (kind === 'docker') {
    const docker = findDocker(environment);
    if (docker === null) throw new PlatformError('invalid_input', 'OPENEAAP_IMAGE_LAUNCHER is docker, and there is no program "docker" in PATH. Install its command line, or declare plugins with "command" or "address".', { details: { field: 'OPENEAAP_IMAGE_LAUNCHER' } });
    const deps = { docker, environment: pick(environment, DOCKER_VARIABLES), node: config.dataDir, start: randomIds.newId(), authority };
    return (declaration) => createDockerLauncher({ ...imageOf(declaration), runtime: imageOf(declaration).runtimeClass }, deps);
  }
  const api = createKubernetesApi(credentialsOf(environment));
  const namespace = environment['OPENEAAP_PLUGIN_NAMESPACE'] ?? 'openeaap';
  const installation = environment['OPENEAAP_INSTALLATION'] ?? 'openeaap';
  return (declaration) =>
    createKubernetesLauncher({ ...imageOf(declaration), namespace, imagePullSecrets: [], serviceAccount: null, nodeSelector: {}, networkPolicy: null }, { api, installation, authority, clock: systemClock });
}

function imageOf({ name, start }: PluginDeclaration): Extract<PluginDeclaration['start'], { readonly kind: 'image' }> {
  if (start.kind !== 'image') throw new PlatformError('internal', `The plugin "${name}" is no image.`);
  return start;
}

function credentialsOf(environment: ServerConfig['environment']): ReturnType<typeof inClusterCredentials> {
  const file = environment['KUBECONFIG'];
  if (environment['KUBERNETES_SERVICE_HOST'] !== undefined || file === undefined) {
    return inClusterCredentials({ KUBERNETES_SERVICE_HOST: environment['KUBERNETES_SERVICE_HOST'], KUBERNETES_SERVICE_PORT: environment['KUBERNETES_SERVICE_PORT'] });
  }
  return kubeconfigCredentials(parse(readFileSync(file, 'utf8')), path.dirname(file), { environment: pick(environment, KUBECONFIG_VARIABLES), context: null });
}

function findDocker(environment: ServerConfig['environment']): string | null {
  const candidates = (environment['PATH'] ?? '').split(path.delimiter).map((folder) => path.join(folder, 'docker'));
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const pick = (environment: ServerConfig['environment'], names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
