import { randomBytes } from 'node:crypto';
import { PlatformError } from '@openeaap/kernel';
import type { Kind, KubernetesObject } from './kubernetes-api.ts';
import type { Manifests } from './kubernetes-manifests.ts';
import { objectName, serverNameOf, toManifests } from './kubernetes-manifests.ts';
import { waitForRollout } from './kubernetes-rollout.ts';
import type { SharedSecret } from './kubernetes-secret.ts';
import { checkOwner, isGood, otherHolders, readShared, takeSecret } from './kubernetes-secret.ts';
import type { KubernetesDeps, KubernetesSettings } from './kubernetes-settings.ts';
import { ANNOTATIONS, KUBERNETES_TIMES, PLUGIN_PORT } from './kubernetes-settings.ts';
import type { Launched, LaunchRequest, Launcher } from './launcher.ts';

/**
 * A plugin as a Deployment with a headless Service, in any number of nodes' hands:
 *
 * - K1 What the nodes must agree on (token, certificates) is in one Secret, made by whoever comes first.
 * - K2 Objects are changed only when their hash is another one, and never if somebody else has made them.
 * - K3 Each launch is noted in the Secret as a holder. Who stops takes its note away, and deletes the objects only if
 *   there is no other, by the version in which it saw that.
 * - K4 A launch ends (`exited`) when the Deployment or the Secret has gone, when another node has made a new identity, or
 *   when the certificates come near their end: the next launch then takes or makes what is new.
 *
 * Nodes whose declarations differ each apply theirs once, at their launch; the last one stays.
 */
export function createKubernetesLauncher(settings: KubernetesSettings, deps: KubernetesDeps): Launcher {
  return {
    replicates: true,
    launch: async (request, signal) => {
      // What is wrong in the declaration is said before anything is made.
      toManifests(request, settings, deps.installation, '');
      const holder = randomBytes(8).toString('hex');
      const shared = await takeSecret(request, settings, deps, holder);
      try {
        await applyAll(toManifests(request, settings, deps.installation, shared.revision), request, settings, deps);
        await waitForRollout(request, settings, deps, signal);
      } catch (thrown) {
        await release(request.plugin, settings, deps, holder).catch(() => undefined);
        throw thrown;
      }
      return hold(request, settings, deps, { holder, shared });
    },
  };
}

async function applyAll(manifests: Manifests, { plugin }: LaunchRequest, settings: KubernetesSettings, { api, ...deps }: KubernetesDeps): Promise<void> {
  const { namespace } = settings;
  const name = objectName(plugin);
  const find = async (kind: Kind): Promise<KubernetesObject | null> => {
    const found = await api.get(kind, namespace, name);
    if (found !== null) checkOwner(found, kind, settings, { api, ...deps });
    return found;
  };
  const [deployment, service] = [await find('Deployment'), await find('Service')];
  if (service !== null && deployment?.metadata.annotations?.[ANNOTATIONS.specHash] === manifests.specHash) return;
  await api.apply('Service', manifests.service);
  if (manifests.networkPolicy !== null) await api.apply('NetworkPolicy', manifests.networkPolicy);
  else {
    const policy = await find('NetworkPolicy');
    if (policy !== null) await api.remove('NetworkPolicy', namespace, policy);
  }
  // Last: its hash says that all the others are there.
  await api.apply('Deployment', manifests.deployment);
}

interface Hold {
  readonly holder: string;
  readonly shared: SharedSecret;
}

function hold(request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, { holder, shared }: Hold): Launched {
  const { namespace } = settings;
  const serverName = serverNameOf(request.plugin, namespace);
  const stopping = new AbortController();
  let tell: (reason: string) => void = () => undefined;
  const exited = new Promise<string>((resolve) => {
    tell = resolve;
  });
  void watch(request, settings, deps, { holder, shared }, stopping.signal).then(tell, () => undefined);
  return {
    target: `dns:///${serverName}:${PLUGIN_PORT}`,
    tls: { ca: shared.ca, clientCert: shared.clientCert, clientKey: shared.clientKey, serverName },
    token: shared.token,
    exited,
    stop: async (graceMs) => {
      stopping.abort();
      const isDeleted = await release(request.plugin, settings, deps, holder).catch(() => false);
      if (isDeleted) await waitUntilGone(request.plugin, settings, deps, graceMs);
      tell(`The plugin "${request.plugin}" was stopped.`);
    },
  };
}

/** Resolves with the reason when the launch has ended. An API server that is away is no reason. */
async function watch(request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, { holder, shared }: Hold, stop: AbortSignal): Promise<string> {
  const { namespace } = settings;
  const name = objectName(request.plugin);
  for (;;) {
    await deps.clock.sleep(KUBERNETES_TIMES.holdEveryMs, stop);
    if (stop.aborted) return `The plugin "${request.plugin}" was stopped.`;
    try {
      const secret = await deps.api.annotate('Secret', namespace, name, { [`${ANNOTATIONS.holder}${holder}`]: deps.clock.now().toISOString() });
      if (secret === null) return `Somebody deleted the Secret ${namespace}/${name} of the plugin "${request.plugin}".`;
      const now = readShared(secret);
      if (now.ca !== shared.ca || now.token !== shared.token) return `Another node has made a new identity for the plugin "${request.plugin}".`;
      if (!isGood(secret, request, settings, deps)) return `The certificates of the plugin "${request.plugin}" come near their end.`;
      if ((await deps.api.get('Deployment', namespace, name)) === null) return `Somebody deleted the Deployment ${namespace}/${name} of the plugin "${request.plugin}".`;
    } catch {
      // Asked again at the next turn. Whether the plugin answers is seen by its connection.
    }
  }
}

/** True: we were the last, and the objects are being deleted. */
async function release(plugin: string, settings: KubernetesSettings, deps: KubernetesDeps, holder: string): Promise<boolean> {
  const { namespace } = settings;
  const name = objectName(plugin);
  const secret = await deps.api.annotate('Secret', namespace, name, { [`${ANNOTATIONS.holder}${holder}`]: null });
  if (secret !== null) {
    if (otherHolders(secret, holder, deps.clock.now().getTime()).length > 0) return false;
    // Whoever joins from here on changes the version, and the deletion fails.
    if (!(await isRemoved('Secret', namespace, secret, deps))) return false;
  }
  const revision = secret === null ? null : readShared(secret).revision;
  if (!(await removeDeployment(name, revision, settings, deps))) return false;
  for (const kind of ['Service', 'NetworkPolicy'] as const) {
    const found = await deps.api.get(kind, namespace, name);
    if (found !== null) await isRemoved(kind, namespace, found, deps);
  }
  return true;
}

/** Its status changes all the time, and its version with it; a new launch changes the revision. */
async function removeDeployment(name: string, revision: string | null, settings: KubernetesSettings, deps: KubernetesDeps): Promise<boolean> {
  for (let attempt = 0; attempt < KUBERNETES_TIMES.attempts; attempt += 1) {
    const found = await deps.api.get('Deployment', settings.namespace, name);
    if (found === null) return true;
    checkOwner(found, 'Deployment', settings, deps);
    if (revision === null || revisionOf(found) !== revision) return false;
    if (await isRemoved('Deployment', settings.namespace, found, deps)) return true;
  }
  return false;
}

function revisionOf({ spec = {} }: KubernetesObject): string | undefined {
  const { template } = spec as { readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> } } };
  return template?.metadata?.annotations?.[ANNOTATIONS.revision];
}

async function isRemoved(kind: Kind, namespace: string, seen: KubernetesObject, { api }: KubernetesDeps): Promise<boolean> {
  try {
    await api.remove(kind, namespace, seen);
    return true;
  } catch (thrown) {
    if (thrown instanceof PlatformError && thrown.code === 'conflict') return false;
    throw thrown;
  }
}

async function waitUntilGone(plugin: string, { namespace }: KubernetesSettings, { api, clock }: KubernetesDeps, graceMs: number): Promise<void> {
  const until = clock.now().getTime() + graceMs;
  while (clock.now().getTime() < until) {
    if ((await api.get('Deployment', namespace, objectName(plugin)).catch(() => null)) === null) return;
    await clock.sleep(KUBERNETES_TIMES.lookEveryMs);
  }
}
