import { randomBytes } from 'node:crypto';
import type { JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { isFreshCertificate } from './authority.ts';
import type { KubernetesObject } from './kubernetes-api.ts';
import { objectName, serverNameOf, toLabels } from './kubernetes-manifests.ts';
import type { KubernetesDeps, KubernetesSettings } from './kubernetes-settings.ts';
import { ANNOTATIONS, KUBERNETES_TIMES, LABELS } from './kubernetes-settings.ts';
import type { LaunchRequest } from './launcher.ts';

/** What all nodes share about a plugin: who it is, whom it believes, and what it is told. */
export interface SharedSecret {
  readonly token: string;
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** Another one for each change; the pods are replaced when it changes. */
  readonly revision: string;
}

/**
 * Takes what another node has put there, or puts it there. Only one of several nodes that start at once makes it: the
 * first to create the Secret, and of changes the first to replace the version that it has read. `holder` is noted in it:
 * as long as there is one, nothing is deleted. Errors: as the API; conflict when the Secret is not ours.
 */
export async function takeSecret(request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, holder: string): Promise<SharedSecret> {
  const { namespace } = settings;
  const name = objectName(request.plugin);
  for (let attempt = 0; attempt < KUBERNETES_TIMES.attempts; attempt += 1) {
    const found = await deps.api.get('Secret', namespace, name);
    if (found !== null) checkOwner(found, 'Secret', settings, deps);
    try {
      const taken = found === null ? await deps.api.create('Secret', toSecret(request, settings, deps, { holder, found })) : await joinSecret(found, request, settings, deps, holder);
      if (taken !== null) return readShared(taken);
    } catch (thrown) {
      if (!(thrown instanceof PlatformError && thrown.code === 'conflict')) throw thrown;
    }
  }
  throw new PlatformError('unavailable', `The Secret ${namespace}/${name} of the plugin "${request.plugin}" is changed by others all the time. Do two installations use one namespace?`);
}

/** null: it has changed or gone in between. */
async function joinSecret(found: KubernetesObject, request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, holder: string): Promise<KubernetesObject | null> {
  const { namespace } = settings;
  if (!isGood(found, request, settings, deps) || !hasEnvironment(found, request)) return deps.api.replace('Secret', toSecret(request, settings, deps, { holder, found }));
  const joined = await deps.api.annotate('Secret', namespace, found.metadata.name, { [`${ANNOTATIONS.holder}${holder}`]: deps.clock.now().toISOString() });
  return joined?.metadata.annotations?.[ANNOTATIONS.revision] === found.metadata.annotations?.[ANNOTATIONS.revision] ? joined : null;
}

/** Errors: conflict when something of that name is there that the platform has not made. */
export function checkOwner(found: KubernetesObject, kind: string, { namespace }: KubernetesSettings, { installation }: KubernetesDeps): void {
  const { labels = {}, name } = found.metadata;
  if (labels[LABELS.managedBy] === 'openeaap' && labels[LABELS.installation] === installation) return;
  throw new PlatformError('unavailable', `There is a ${kind} ${namespace}/${name} that this platform has not made, and it is left alone. Give the plugin another name, or another namespace.`);
}

export const readShared = (secret: KubernetesObject): SharedSecret => ({
  token: textOf(secret, 'token'),
  ca: textOf(secret, 'ca.crt'),
  clientCert: textOf(secret, 'client.crt'),
  clientKey: textOf(secret, 'client.key'),
  revision: secret.metadata.annotations?.[ANNOTATIONS.revision] ?? '',
});

/** Are its certificates whole, made out to this plugin, and not near their end? */
export function isGood(secret: KubernetesObject, request: Pick<LaunchRequest, 'plugin'>, { namespace }: KubernetesSettings, { clock }: KubernetesDeps): boolean {
  const shared = readShared(secret);
  if (shared.token === '' || shared.clientKey === '' || shared.revision === '' || textOf(secret, 'tls.key') === '') return false;
  const now = clock.now().getTime();
  return isFreshCertificate(textOf(secret, 'tls.crt'), { dnsNames: [serverNameOf(request.plugin, namespace)], authority: shared.ca, now }) && isFreshCertificate(shared.clientCert, { dnsNames: [], authority: shared.ca, now });
}

const PREFIX = 'env.';

function hasEnvironment(secret: KubernetesObject, { environment }: LaunchRequest): boolean {
  const names = Object.keys(secret.data ?? {}).filter((key) => key.startsWith(PREFIX));
  return names.length === Object.keys(environment).length && Object.entries(environment).every(([name, value]) => textOf(secret, `${PREFIX}${name}`) === value && names.includes(`${PREFIX}${name}`));
}

/** Live holders of a Secret but for one. */
export function otherHolders(secret: KubernetesObject, holder: string, nowMs: number): readonly string[] {
  return Object.entries(secret.metadata.annotations ?? {}).flatMap(([key, since]) => {
    const name = key.startsWith(ANNOTATIONS.holder) ? key.slice(ANNOTATIONS.holder.length) : holder;
    return name !== holder && nowMs - Date.parse(since) < KUBERNETES_TIMES.holderDeadMs ? [name] : [];
  });
}

/** New, or what is good of the one that was found with what must change. The token outlives a certificate. */
function toSecret(request: LaunchRequest, settings: KubernetesSettings, deps: KubernetesDeps, { holder, found }: { readonly holder: string; readonly found: KubernetesObject | null }): JsonObject {
  const { namespace } = settings;
  const now = deps.clock.now();
  const holders = found === null ? [] : otherHolders(found, holder, now.getTime()).map((name) => [`${ANNOTATIONS.holder}${name}`, found.metadata.annotations?.[`${ANNOTATIONS.holder}${name}`] ?? '']);
  const identity = found !== null && isGood(found, request, settings, deps) ? keep(found) : issue(request, namespace, deps);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name: objectName(request.plugin),
      namespace,
      labels: toLabels(request.plugin, deps.installation),
      annotations: { ...Object.fromEntries(holders), [`${ANNOTATIONS.holder}${holder}`]: now.toISOString(), [ANNOTATIONS.revision]: randomBytes(8).toString('hex') },
      ...(found === null ? {} : { uid: found.metadata.uid, resourceVersion: found.metadata.resourceVersion }),
    },
    data: { ...identity, ...Object.fromEntries(Object.entries(request.environment).map(([name, value]) => [`${PREFIX}${name}`, encode(value)])) },
  };
}

const IDENTITY = ['token', 'ca.crt', 'tls.crt', 'tls.key', 'client.crt', 'client.key'] as const;

const keep = (found: KubernetesObject): Record<string, string> => Object.fromEntries(IDENTITY.map((key) => [key, found.data?.[key] ?? '']));

function issue(request: LaunchRequest, namespace: string, { authority }: KubernetesDeps): Record<string, string> {
  const server = authority.issueServer([serverNameOf(request.plugin, namespace)]);
  const client = authority.issueClient('control plane');
  return { token: encode(request.token), 'ca.crt': encode(authority.cert), 'tls.crt': encode(server.cert), 'tls.key': encode(server.key), 'client.crt': encode(client.cert), 'client.key': encode(client.key) };
}

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const textOf = (secret: KubernetesObject, key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
